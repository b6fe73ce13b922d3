// The page of the panel: it asks its own machine how things go and shows it; nothing else is asked or loaded.
const KEY = "edge-pse key", OFTEN_MS = 500, AGAIN_MS = 2000;
const the = id => document.getElementById(id);
const later = milliseconds => new Promise(done => setTimeout(done, milliseconds));

class Refused extends Error {
  constructor(sentence, status) { super(sentence); this.status = status; }
}

// ---- what is said to the machine

async function ask(name, sent) {
  const headers = {"X-Edge-Pse-Key": localStorage.getItem(KEY) ?? ""};
  const options = {headers, cache: "no-store", credentials: "same-origin", redirect: "error"};
  if (sent !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(options, {method: "POST", body: JSON.stringify(sent)});
  }
  const answer = await fetch(`api/${name}`, options);
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Refused(said.error ?? `The panel answers ${answer.status}.`, answer.status);
  }
  return answer.headers.get("Content-Type")?.startsWith("audio/") ? answer.arrayBuffer() : answer.json();
}

let trouble = "";
function complain(sentence) {
  trouble = sentence;
  text(the("trouble"), sentence);
  the("trouble").hidden = !sentence;
}

let doing = 0;  // how many things are being done that were asked for here
async function act(name, sent = {}) {
  doing++;
  document.body.ariaBusy = "true";
  complain("");
  try {
    await ask(name, sent);
    await look();
    return true;
  } catch (error) {
    complain(error instanceof Refused ? error.message : "The panel does not answer.");
    if (error.status === 401) enter();
    return false;
  } finally {
    doing--;
    if (!doing) document.body.ariaBusy = "false";
    await look().catch(() => {});
  }
}

// ---- what is shown

const text = (element, content) => { if (element.textContent !== content) element.textContent = content; };
const set = (element, name, value) => { if (element[name] !== value && element !== document.activeElement) element[name] = value; };

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function level(which, dbfs, name) {
  the(`${which}-level`).value = dbfs ?? -60;
  text(the(`${which}-text`), dbfs === undefined || dbfs === null ? name : `${Math.max(-99, Math.round(dbfs))} dBFS, ${name}`);
}

const named = names => names.length ? names.join(" and ") : "every voice";

function summary(state) {
  const status = state.status;
  if (!status) return "No stream runs: what others hear is not changed here.";
  if (!status.stream) return state.options.on_demand ? `Ready: keeps ${named(status.profiles)} as soon as a program records.`
    : "It runs, and waits for its devices.";
  if (status.bypass) return "The sound passes as it is.";
  if (status.stream.overloaded) return "This machine is too busy: the sound passes as it is.";
  const speaks = status.speaks ? ` Speaks: ${status.speaks}.` : "";
  return `Only ${named(status.profiles)} ${status.profiles.length > 1 ? "are" : "is"} heard.${speaks}`;
}

function showStream(state) {
  const status = state.status, stream = status?.stream;
  the("start").disabled = Boolean(status) || doing > 0;
  the("stop").disabled = !status || doing > 0;
  level("input", stream?.input_dbfs, stream?.input ?? "closed");
  level("output", stream?.output_dbfs, stream?.output ?? "closed");
  const strength = Math.round(100 * (status?.strength ?? state.options.strength ?? 1));
  set(the("strength"), "value", String(strength));
  if (document.activeElement !== the("strength")) text(the("strength-text"), `${strength} %`);
  if (!doing) {
    the("bypass").checked = status?.bypass ?? false;
    the("bypass").disabled = !status;
    the("on-demand").checked = state.options.on_demand;
    the("always").checked = !state.options.on_demand;
    the("on-demand").disabled = the("always").disabled = state.options.output !== "virtual";
    the("echo").checked = Boolean(state.options.loopback);
  }
}

function showProfiles(state) {
  const kept = state.status?.profiles ?? state.options.profiles;
  const names = [...new Set([...state.profiles, ...kept])].sort();
  const list = the("profile-list");
  if (list.dataset.names !== JSON.stringify(names)) {
    list.dataset.names = JSON.stringify(names);
    list.replaceChildren(...names.map(name => {
      const box = element("input", {type: "checkbox", value: name});
      box.addEventListener("change", () => {
        const chosen = [...list.querySelectorAll("input:checked")].map(one => one.value);
        act("set", {profiles: chosen});
      });
      return element("label", {}, box, ` ${name}`);
    }));
    if (!names.length) list.append(element("p", {className: "hint", textContent: "Nobody is enrolled yet: every voice is kept, noise is not."}));
  }
  if (!doing) for (const box of list.querySelectorAll("input")) box.checked = kept.includes(box.value);
}

const CURVES = [
  {title: "Levels", unit: "dBFS", columns: [1, 2], names: ["in", "out"], range: [-70, 0]},
  {title: "Delay", unit: "ms", columns: [3], range: [0, 60]},
  {title: "Load: of its time the network takes", unit: "%", columns: [4], scale: 100, range: [0, 100]},
  {title: "Temperature", unit: "°C", columns: [5], range: [20, 90]},
  {title: "Underruns, gaps in the sound", unit: "", columns: [6], range: [0, 5], sum: true},
];
const MINUTES_S = 600;
let points = [];

function polyline(curve, column, nowS) {
  const high = Math.max(curve.range[1], ...points.map(point => (point[column] ?? 0) * (curve.scale ?? 1)));
  const pieces = [[]];
  for (const point of points) {
    if (point[column] === null) { pieces.push([]); continue; }
    const x = 100 * (1 - (nowS - point[0]) / MINUTES_S);
    const y = 30 * (1 - (point[column] * (curve.scale ?? 1) - curve.range[0]) / (high - curve.range[0]));
    if (x >= 0) pieces.at(-1).push(`${x.toFixed(2)},${Math.min(30, Math.max(0, y)).toFixed(2)}`);
  }
  return pieces.filter(piece => piece.length).map(piece => piece.length > 1 ? piece : [piece[0], piece[0]]);
}

function showCurves(state) {
  const place = the("curves"), svg = "http://www.w3.org/2000/svg";
  if (!place.children.length) {
    for (const curve of CURVES) {
      const drawing = document.createElementNS(svg, "svg");
      drawing.setAttribute("viewBox", "0 0 100 30");
      drawing.setAttribute("preserveAspectRatio", "none");
      drawing.setAttribute("aria-hidden", "true");
      place.append(element("figure", {}, element("figcaption"), drawing));
    }
  }
  CURVES.forEach((curve, index) => {
    const [caption, drawing] = place.children[index].children, last = points.at(-1);
    const value = column => curve.sum ? points.reduce((sum, point) => sum + (point[column] ?? 0), 0)
      : last?.[column] === null || !last ? null : last[column] * (curve.scale ?? 1);
    const said = curve.columns.map((column, at) => {
      const now = value(column);
      return `${curve.names ? `${curve.names[at]} ` : ""}${now === null ? "–" : `${Math.round(now)} ${curve.unit}`.trim()}`;
    });
    if (caption.dataset.said !== said.join()) {
      caption.dataset.said = said.join();
      caption.replaceChildren(`${curve.title}: `, ...said.flatMap((one, at) => [
        at ? ", " : "", element("strong", {className: curve.names ? `key${at ? " second" : ""}` : "", textContent: one})]));
    }
    drawing.replaceChildren(...curve.columns.flatMap((column, at) => polyline(curve, column, state.time_s).map(piece => {
      const line = document.createElementNS(svg, "polyline");
      line.setAttribute("points", piece.join(" "));
      if (at) line.setAttribute("class", "second");
      return line;
    })));
    place.children[index].hidden = curve.columns.every(column => points.every(point => point[column] === null));
  });
}

function showDoctor(doctor) {
  the("examine").disabled = Boolean(doctor && !doctor.done);
  if (!doctor) return;
  const count = status => doctor.findings.filter(finding => finding.status === status).length;
  text(the("doctor-state"), doctor.trouble || (doctor.done
    ? `${count("fail") || "No"} failures, ${count("warn") || "no"} warnings.` : "Looking; that takes up to a minute."));
  const list = the("findings");
  if (list.children.length > doctor.findings.length) list.replaceChildren();
  for (const {name, status, sentence, advice} of doctor.findings.slice(list.children.length)) {
    const item = element("li", {}, element("b", {className: status, textContent: status}), ` ${name}: ${sentence}`);
    if (advice) item.append(element("span", {className: "advice", textContent: advice}));
    list.append(item);
  }
}

function showSentences(sentences) {
  const list = the("sentences"), last = sentences.at(-1);
  const known = last ? `${sentences.length} ${last.time_s}` : "";
  if (list.dataset.known === known) return;
  list.dataset.known = known;
  list.replaceChildren(...sentences.toReversed().map(({time_s, text: said}) => {
    const time = new Date(1000 * time_s);
    return element("li", {}, element("time", {dateTime: time.toISOString(), textContent: time.toLocaleTimeString()}), ` ${said}`);
  }));
}

function show(state) {
  the("enter").hidden = true;
  the("main").hidden = false;
  text(the("summary"), summary(state));
  showStream(state);
  showProfiles(state);
  showCurves(state);
  showDoctor(state.doctor);
  showSentences(state.status?.sentences ?? []);
}

// ---- the loop: as long as the page is seen

let unanswered = false;
async function look() {
  const state = await ask(`state?after=${points.at(-1)?.[0] ?? 0}`);
  points = [...points, ...state.points.filter(point => point[0] > (points.at(-1)?.[0] ?? 0))]
    .filter(point => point[0] > state.time_s - MINUTES_S);
  if (unanswered) { unanswered = false; complain(""); }
  show(state);
}

async function watch() {
  for (;;) {
    try {
      if (!document.hidden && the("enter").hidden) await look();
      await later(OFTEN_MS);
    } catch (error) {
      if (error.status === 401) enter();
      else {
        unanswered = true;
        text(the("summary"), "The panel does not answer.");
        if (!trouble) complain(error instanceof Refused ? error.message : "It has ended, or the network is away. This page comes back by itself.");
      }
      await later(AGAIN_MS);
    }
  }
}

// ---- being let in

function enter() {
  the("main").hidden = true;
  the("enter").hidden = false;
  text(the("summary"), "This page is for who has its link.");
}

async function exchange(link) {
  const token = link.trim().split("#").at(-1);
  try {
    localStorage.setItem(KEY, (await ask("enter", {token})).key);
    complain("");
    the("enter").hidden = true;
    await look();
    the("main").focus();
  } catch (error) {
    complain(error instanceof Refused ? error.message : "The panel does not answer.");
    enter();
  }
}

async function arrive() {
  if (location.hash.length <= "#main".length) return;
  const token = location.hash.slice(1);
  history.replaceState(null, "", location.pathname);
  await exchange(token);
}

the("enter").addEventListener("submit", event => {
  event.preventDefault();
  exchange(the("link").value);
  the("link").value = "";
});
the("start").addEventListener("click", () => act("start"));
the("stop").addEventListener("click", () => act("stop"));
the("bypass").addEventListener("change", () => act("set", {bypass: the("bypass").checked}));
the("strength").addEventListener("input", () => text(the("strength-text"), `${the("strength").value} %`));
the("strength").addEventListener("change", () => act("set", {strength: Number(the("strength").value) / 100}));
the("on-demand").addEventListener("change", () => act("options", {on_demand: true}));
the("always").addEventListener("change", () => act("options", {on_demand: false}));
the("echo").addEventListener("change", () => act("options", {loopback: the("echo").checked ? "auto" : ""}));
the("examine").addEventListener("click", () => act("doctor"));
addEventListener("hashchange", arrive);
addEventListener("visibilitychange", () => { if (!document.hidden && the("enter").hidden) look().catch(() => {}); });

await arrive();
watch();

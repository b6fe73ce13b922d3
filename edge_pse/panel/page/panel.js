// The page of the panel: it asks its own machine how things go and shows it; nothing else is asked or loaded.
const KEY = "edge-pse key", OFTEN_MS = 500, AGAIN_MS = 2000;
const the = id => document.getElementById(id);
const later = milliseconds => new Promise(done => setTimeout(done, milliseconds));

class Refused extends Error {
  constructor(sentence, status) { super(sentence); this.status = status; }
}

// ---- what is said to the machine

async function ask(name, sent, more = {}) {
  const headers = {"X-Edge-Pse-Key": localStorage.getItem(KEY) ?? ""};
  const options = {headers, cache: "no-store", credentials: "same-origin", redirect: "error", ...more};
  if (sent !== undefined) {
    headers["Content-Type"] = "application/json";
    Object.assign(options, {method: "POST", body: JSON.stringify(sent)});
  }
  const answer = await fetch(`api/${name}`, options);
  if (!answer.ok) {
    const said = await answer.json().catch(() => ({}));
    throw new Refused(said.error ?? `The panel answers ${answer.status}.`, answer.status);
  }
  return answer.json();
}

let trouble = "";
function complain(sentence) {
  trouble = sentence;
  text(the("trouble"), sentence);
  the("trouble").hidden = !sentence;
}

let doing = 0;  // how many things are being done that were asked for here
let refused = false;  // one of them was not done: what a person has chosen for it is not to be seen any longer
async function act(name, sent = {}) {
  doing++;
  document.body.ariaBusy = "true";
  complain("");
  try {
    await ask(name, sent);
    await look();
    return true;
  } catch (error) {
    refused = true;
    complain(error instanceof Refused ? error.message : "The panel did not answer: try that again.");
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
const chooses = element => element === document.activeElement && (doing > 0 || !refused);  // a person, there
const set = (element, name, value) => {
  if (element[name] !== value && !chooses(element)) element[name] = value;
};

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
  if (!status.profiles.length) return `Every voice is heard, and noise is not.${speaks}`;
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
  if (!chooses(the("strength"))) text(the("strength-text"), `${strength} %`);
  if (!doing) {
    the("bypass").checked = status?.bypass ?? false;
    the("bypass").disabled = !status;
    the("on-demand").checked = state.options.on_demand;
    the("always").checked = !state.options.on_demand;
    the("on-demand").disabled = the("always").disabled = state.options.output !== "virtual";
    the("echo").checked = Boolean(state.options.loopback);
  }
}

function showDevices(state) {
  const found = state.devices, {input, output} = state.options;
  choices(the("input"), input, [["", "The default one"]], found?.inputs ?? []);
  choices(the("output"), output, [["virtual", "The virtual microphone, for calls"], ["", "The default output"]], found?.outputs ?? []);
  the("listen").ariaPressed = String(found?.listens ?? false);
  text(the("listen"), found?.listens ? "Close the microphones" : "Show their levels");
  text(the("devices-state"), found ? found.known ? found.trouble : found.trouble || "Looking for devices." : "");
  const rows = found?.listens ? [...Object.entries(found.levels.inputs ?? {}).map(row => ["in", ...row]),
    ...Object.entries(found.levels.outputs ?? {}).map(row => ["out", ...row])] : [];
  const list = the("device-levels"), names = JSON.stringify(rows.map(([way, name]) => [way, name]));
  if (list.dataset.names !== names) {
    list.dataset.names = names;
    list.replaceChildren(...rows.flatMap(([way, name]) => {
      const described = [...found.inputs, ...found.outputs].find(device => device.name === name)?.description ?? name;
      return [element("dt", {textContent: way}),
        element("dd", {}, element("meter", {min: -60, max: 0, ariaLabel: `Level of ${described}`}), ` ${described}`)];
    }));
  }
  rows.forEach(([, , dbfs], index) => { list.querySelectorAll("meter")[index].value = dbfs; });
}

function choices(select, chosen, first, devices) {
  const all = [...first, ...devices.map(({name, description, opens}) =>
    [name, opens.startsWith("does not") && name !== chosen ? `${description} (does not open now)` : description])];
  if (!all.some(([value]) => value === chosen)) all.push([chosen, chosen]);
  const known = JSON.stringify(all);
  if (select.dataset.known !== known && select !== document.activeElement) {
    select.dataset.known = known;
    select.replaceChildren(...all.map(([value, shown]) => element("option", {value, textContent: shown})));
    select.value = chosen;
  }
  if (!doing) set(select, "value", chosen);
}

const CALM = ["Good, go on.", "Read on, please."];
let enrolls = false;
let follows = false;  // whoever has begun it here is led on by the focus; no other page loses its own
function showEnrollment(state) {
  const now = state.enrollment, progress = now?.progress, open = Boolean(now && !now.done);
  the("known").hidden = !state.profiles.includes(the("name").value);
  the("enroll").hidden = open;
  the("enrolling").hidden = !open;
  if (open) {
    const parts = now.text.length > 4 ? [now.text.join(" ")] : now.text;
    if (the("text").dataset.known !== JSON.stringify(parts)) {
      the("text").dataset.known = JSON.stringify(parts);
      the("text").replaceChildren(...parts.map(part => element("p", {textContent: part})));
      if (follows && parts.length) the("text").focus();
    }
    the("enroll-level").value = progress?.level_dbfs ?? -60;
    the("enroll-progress").max = progress ? progress.speech_seconds + progress.missing_seconds || 1 : 1;
    the("enroll-progress").value = progress?.speech_seconds ?? 0;
    text(the("enroll-left"), progress ? `${progress.missing_seconds.toFixed(0)} s to go` : "");
    const advice = progress?.advice ?? "Opening the microphone.";
    text(the("advice"), advice);
    the("advice").classList.toggle("calm", CALM.includes(advice));
    text(the("enrolled"), "");
  } else if (now) {
    text(the("enrolled"), now.error || now.said.join(" "));
  } else if (enrolls) text(the("enrolled"), "Cancelled: nothing is kept.");
  if (enrolls && !open && follows) {
    the("enrolled").focus();
    follows = false;
  }
  enrolls = open;
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

// ---- hearing it

const HEARD_S = 10;
let hears = false;
function showHearing(state) {
  const ready = !the("heard").hidden;
  the("hear").disabled = !state.status || hears && !ready;
  the("forget").hidden = !hears;
  if (hears && state.heard_s === null) { forget("What was kept is gone: the stream has ended, this page was not seen for a while, or another page has forgotten it."); return; }
  if (hears && !ready) {
    const left = Math.ceil(HEARD_S - state.heard_s);
    text(the("hear-state"), left > 0 ? `Speak: ${left} s to go.` : "The sound is on its way.");
    if (left <= 0) fetchHeard();
  }
}

let fetching = false;
async function fetchHeard() {
  if (fetching) return;
  fetching = true;
  try {
    const heard = await ask("heard");
    if (!hears) return;  // forgotten meanwhile
    if (!heard.before || !heard.after) {
      forget("There is no sound: the microphone is closed. Choose that it is always open, or let a program record.");
      act("forget");
      return;
    }
    for (const which of ["before", "after"]) {
      const bytes = Uint8Array.from(atob(heard[which].wav), character => character.charCodeAt(0));
      URL.revokeObjectURL(the(`${which}-sound`).src);
      the(`${which}-sound`).src = URL.createObjectURL(new Blob([bytes], {type: "audio/wav"}));
      spectrogram(the(`${which}-picture`), bytes, heard[which].rate_hz);
    }
    the("heard").hidden = false;
    text(the("hear"), "Send me the last ten seconds again");
    text(the("hear-state"), "Ten seconds, before and after; low sounds are below, up to 12 kHz.");
  } catch (error) {
    if (hears) forget(error instanceof Refused ? error.message : "The panel does not answer.");
  } finally {
    fetching = false;
  }
}

function forget(sentence) {
  hears = false;
  the("heard").hidden = true;
  text(the("hear"), "Send me ten seconds of sound");
  text(the("hear-state"), sentence);
  for (const which of ["before", "after"]) {
    URL.revokeObjectURL(the(`${which}-sound`).src);
    the(`${which}-sound`).removeAttribute("src");
    the(`${which}-sound`).load();
    the(`${which}-picture`).getContext("2d").clearRect(0, 0, 320, 160);
  }
}

const WAV_HEADER_BYTES = 44, SIZE = 1024, TOP_HZ = 12000, FLOOR_DB = -95, RANGE_DB = 70;
function spectrogram(canvas, bytes, rateHz) {
  const samples = new Int16Array(bytes.buffer, WAV_HEADER_BYTES, (bytes.length - WAV_HEADER_BYTES) >> 1);
  const {width, height} = canvas, context = canvas.getContext("2d"), image = context.createImageData(width, height);
  const slope = Float64Array.from({length: SIZE}, (_, at) => 0.5 - 0.5 * Math.cos(2 * Math.PI * at / SIZE));
  for (let column = 0; column < width; column++) {
    const start = Math.round(column * Math.max(0, samples.length - SIZE) / width);
    const real = new Float64Array(SIZE), imaginary = new Float64Array(SIZE);
    for (let at = 0; at < SIZE; at++) real[at] = (samples[start + at] ?? 0) / 32768 * slope[at];
    transform(real, imaginary);
    for (let row = 0; row < height; row++) {
      const bin = Math.round((1 - (row + 0.5) / height) * TOP_HZ * SIZE / rateHz);
      const power = bin < SIZE / 2 ? (real[bin] ** 2 + imaginary[bin] ** 2) * (4 / SIZE) ** 2 : 0;
      const share = Math.min(1, Math.max(0, (10 * Math.log10(power + 1e-12) - FLOOR_DB) / RANGE_DB));
      image.data.set([255 * Math.min(1, 1.6 * share), 255 * share ** 1.5, 255 * (0.25 + 0.5 * share) * Math.min(1, 4 * share), 255],
        4 * (row * width + column));
    }
  }
  context.putImageData(image, 0, 0);
}

function transform(real, imaginary) {  // of a size that is a power of two, in place
  const size = real.length;
  for (let at = 1, other = 0; at < size; at++) {
    let bit = size >> 1;
    for (; other & bit; bit >>= 1) other ^= bit;
    other ^= bit;
    if (at < other) {
      [real[at], real[other]] = [real[other], real[at]];
      [imaginary[at], imaginary[other]] = [imaginary[other], imaginary[at]];
    }
  }
  for (let length = 2; length <= size; length *= 2) {
    for (let step = 0; step < length / 2; step++) {
      const angle = -2 * Math.PI * step / length, cosine = Math.cos(angle), sine = Math.sin(angle);
      for (let low = step; low < size; low += length) {
        const high = low + length / 2;
        const r = real[high] * cosine - imaginary[high] * sine, i = real[high] * sine + imaginary[high] * cosine;
        real[high] = real[low] - r; imaginary[high] = imaginary[low] - i;
        real[low] += r; imaginary[low] += i;
      }
    }
  }
}

let examined = [];  // what is shown of an examination
function showDoctor(doctor) {
  the("examine").disabled = Boolean(doctor && !doctor.done);
  if (!doctor) return;
  const count = (status, word) => {
    const number = doctor.findings.filter(finding => finding.status === status).length;
    return `${number || "no"} ${word}${number === 1 ? "" : "s"}`;
  };
  text(the("doctor-state"), doctor.trouble || (doctor.done
    ? `It found ${count("fail", "failure")} and ${count("warn", "warning")}.` : "Looking; that takes up to a minute."));
  const list = the("findings");
  // A page that was not seen meanwhile has missed how another examination began.
  if (examined.some((finding, at) => JSON.stringify(finding) !== JSON.stringify(doctor.findings[at]))) list.replaceChildren();
  examined = doctor.findings;
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

let began = false;
async function begin(state) {  // what is asked once
  began = true;
  const {languages, language} = await ask("texts");
  const names = new Intl.DisplayNames(["en"], {type: "language"});
  the("language").replaceChildren(...languages.map(code => element("option", {value: code, textContent: names.of(code)})));
  the("language").value = languages.includes(navigator.language.slice(0, 2)) ? navigator.language.slice(0, 2) : language;
  if (!state.devices) await ask("devices", {listen: false});
}

function show(state) {
  if (!began) begin(state).catch(() => { began = false; });
  the("enter").hidden = true;
  the("main").hidden = false;
  text(the("summary"), summary(state));
  showStream(state);
  showDevices(state);
  showEnrollment(state);
  showHearing(state);
  showProfiles(state);
  showCurves(state);
  showDoctor(state.doctor);
  showSentences(state.status?.sentences ?? []);
  if (!doing) refused = false;
}

// ---- the loop: as long as the page is seen

let unanswered = false, options = {};
async function look() {
  const state = await ask(`state?after=${points.at(-1)?.[0] ?? 0}&hears=${Number(hears)}`);
  points = [...points, ...state.points.filter(point => point[0] > (points.at(-1)?.[0] ?? 0))]
    .filter(point => point[0] > state.time_s - MINUTES_S);
  options = state.options;
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
the("input").addEventListener("change", () => act("options", {input: the("input").value}));
the("output").addEventListener("change", () => act("options", {output: the("output").value}));
the("look").addEventListener("click", () => act("devices", {listen: false}));
the("listen").addEventListener("click", () => act("devices", {listen: the("listen").ariaPressed !== "true"}));
the("enroll").addEventListener("submit", async event => {
  event.preventDefault();
  follows = true;
  const begun = await act("enroll", {name: the("name").value, language: the("language").value, microphone: options.input,
                                     how: the("known").hidden ? "" : the("how").value});
  if (!begun) follows = false;
});
the("name").addEventListener("input", () => look().catch(() => {}));
the("cancel").addEventListener("click", () => act("cancel"));
the("hear").addEventListener("click", async () => {
  if (hears) { fetchHeard(); return; }
  text(the("hear-state"), "");
  if (await act("hear")) { hears = true; await look(); }
});
the("forget").addEventListener("click", () => { forget("Forgotten."); act("forget"); });
addEventListener("pagehide", () => {
  if (!hears) return;
  forget("");
  ask("forget", {}, {keepalive: true}).catch(() => {});  // the stream would, too, some seconds later
});
addEventListener("hashchange", arrive);
addEventListener("visibilitychange", () => { if (!document.hidden && the("enter").hidden) look().catch(() => {}); });

await arrive();
watch();

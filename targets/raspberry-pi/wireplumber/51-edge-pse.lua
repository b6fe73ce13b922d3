-- WirePlumber 0.4 (Bookworm): short periods for microphones, and none is put to sleep.
table.insert(alsa_monitor.rules, {
  matches = { { { "node.name", "matches", "alsa_input.*" } } },
  apply_properties = {
    ["api.alsa.period-size"] = 240,
    ["session.suspend-timeout-seconds"] = 0,
  },
})

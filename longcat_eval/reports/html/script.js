"use strict";
/* The list of attempts. Texts of models become text nodes and nothing else: this file has no innerHTML. */
(() => {
  const PAGE = 50, LONG = 8000, DIFF_LINES = 4000;
  const generation = document.body.dataset.generation;
  const live = generation !== "";

  /* ---- small helpers ---- */
  const make = (tag, className = "", text = "") => {
    const element = document.createElement(tag);
    if (className) element.className = className;
    if (text !== "") element.textContent = text;
    return element;
  };
  /* Control characters as pictures, and what would turn the direction of a line as its code; tab and newline stay. */
  const visible = (text) => text.replace(/[\u0000-\u0008\u000b-\u001f\u007f]/g,
    (c) => c === "\u007f" ? "\u2421" : String.fromCharCode(0x2400 + c.charCodeAt(0))).replace(/[\u0080-\u009f]/g, "\ufffd")
    .replace(/[\u202a-\u202e\u2066-\u2069]/g, (c) => "[U+" + c.charCodeAt(0).toString(16).toUpperCase() + "]");
  const count = (number) => number.toLocaleString("en");

  /* ---- light and dark ---- */
  const themes = ["", "light", "dark"], themeNames = { "": "Theme: system", light: "Theme: light", dark: "Theme: dark" };
  const themeButton = document.getElementById("theme");
  const stored = () => { try { return localStorage.getItem("theme") || ""; } catch { return ""; } };
  const setTheme = (name) => {
    if (name) document.documentElement.dataset.theme = name; else delete document.documentElement.dataset.theme;
    themeButton.textContent = themeNames[name];
    try { localStorage.setItem("theme", name); } catch { /* a page from disk may have no storage */ }
  };
  setTheme(themes.includes(stored()) ? stored() : "");
  themeButton.hidden = false;
  themeButton.addEventListener("click", () =>
    setTheme(themes[(themes.indexOf(document.documentElement.dataset.theme || "") + 1) % themes.length]));

  const browser = document.getElementById("browser");
  if (!browser) return;

  /* ---- data ---- */
  const unpack = async (id) => {
    const letters = atob(document.getElementById(id).textContent.trim());
    const bytes = new Uint8Array(letters.length);
    for (let i = 0; i < letters.length; i++) bytes[i] = letters.charCodeAt(i);
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).json();
  };
  const KEPT_CHUNKS = 8, chunks = new Map();
  const chunk = async (number) => {
    if (!chunks.has(number)) {
      if (chunks.size >= KEPT_CHUNKS) chunks.delete(chunks.keys().next().value);
      chunks.set(number, unpack("chunk" + number));
    }
    return chunks.get(number);
  };
  const ask = async (path) => {
    const reply = await fetch(path);
    if (!reply.ok) throw new Error(await reply.text());
    return reply.json();
  };
  let data, columns, total;
  const field = (name, i) => data.lists[name][columns[name][i]];
  const transcript = async (i) => {
    if (live) return ask("attempt/" + generation + "/" + i);
    if (columns.chunk[i] < 0) return null;
    return (await chunk(columns.chunk[i]))[columns.place[i]];
  };

  /* ---- state ---- */
  const state = { run: "", task: "", result: "", text: "", only: -1, page: 0, found: null, opened: -1, pair: null };
  let matches = [], searching = 0;
  const result = (i) => {
    const value = columns.value[i];
    return value === null ? "lost" : value === 1 ? "right" : value > 0 ? "part" : "wrong";
  };
  const select = () => {
    const needle = state.text.toLowerCase();
    const runNumber = state.run === "" ? -1 : Number(state.run);
    const taskNumber = state.task === "" ? -1 : data.lists.task.indexOf(state.task);
    const outcomeNumber = state.result.startsWith("=") ? data.lists.outcome.indexOf(state.result.slice(1)) : -1;
    matches = [];
    for (let i = 0; i < total; i++) {
      if (state.only >= 0 && i !== state.only) continue;
      if (state.pair && !isPaired(i)) continue;
      if (runNumber >= 0 && columns.run[i] !== runNumber) continue;
      if (taskNumber >= 0 && columns.task[i] !== taskNumber) continue;
      if (outcomeNumber >= 0 && columns.outcome[i] !== outcomeNumber) continue;
      if (state.result && outcomeNumber < 0 && result(i) !== state.result) continue;
      if (needle && !(state.found && state.found.has(i)) && !heading(i).includes(needle)) continue;
      matches.push(i);
    }
    if (state.pair) {
      const side = (i) => columns.run[i] === state.pair.base ? 0 : 1;
      matches.sort((a, b) => columns.repeat[a] - columns.repeat[b] || side(a) - side(b));
    }
  };
  /* A question that changed between two runs: its attempts side by side. */
  const isPaired = (i) => columns.task[i] === state.pair.task && columns.sample[i] === state.pair.question
    && (columns.run[i] === state.pair.base || columns.run[i] === state.pair.cand);
  const heading = (i) => [field("task", i) + "/" + columns.sample[i] + "#" + columns.repeat[i],
    field("group", i), field("outcome", i), field("reason", i), columns.extracted[i] || ""].join("\n").toLowerCase();

  /* ---- one transcript ---- */
  const put = (element, text) => {
    const needle = state.text.toLowerCase();
    text = visible(text);
    const lower = text.toLowerCase();
    if (!needle || lower.length !== text.length || !lower.includes(needle)) {
      element.append(document.createTextNode(text));
      return;
    }
    let at = 0;
    for (let hit = lower.indexOf(needle), hits = 0; hit >= 0 && hits < 500; hit = lower.indexOf(needle, at), hits++) {
      element.append(document.createTextNode(text.slice(at, hit)), make("mark", "", text.slice(hit, hit + needle.length)));
      at = hit + needle.length;
    }
    element.append(document.createTextNode(text.slice(at)));
  };
  const isDiff = (text) => /^(diff --git |--- [^\n]*\n\+\+\+ )/m.test(text.slice(0, 4000));
  const putDiff = (element, text) => {
    const lines = text.split("\n");
    for (const line of lines.slice(0, DIFF_LINES)) {
      const kind = /^(\+\+\+|---|diff |index )/.test(line) ? "hunk" : line.startsWith("@@") ? "hunk"
        : line.startsWith("+") ? "add" : line.startsWith("-") ? "del" : "";
      const span = make("span", "line " + kind);
      put(span, line === "" ? " " : line);
      element.append(span);
    }
    if (lines.length > DIFF_LINES) put(element, lines.slice(DIFF_LINES).join("\n"));
  };
  const body = (text, kind) => {
    const pre = make("pre", kind);
    const whole = () => { pre.textContent = ""; (isDiff(text) ? putDiff : put)(pre, text); };
    if (text.length <= LONG) { whole(); return [pre]; }
    put(pre, text.slice(0, LONG / 2) + "\n…");
    const button = make("button", "", "Show all " + count(text.length) + " characters");
    button.type = "button";
    button.addEventListener("click", () => { whole(); button.remove(); });
    return [pre, button];
  };
  const fold = (label, text, open) => {
    const details = make("details"), summary = make("summary");
    put(summary, label);
    details.append(summary);
    details.addEventListener("toggle", () => { if (details.childElementCount === 1) details.append(...body(text, "")); });
    details.open = open;
    return details;
  };
  const render = (page, place) => {
    place.textContent = "";
    const facts = make("dl");
    for (const [name, value] of page.facts) {
      const cell = make("dd");
      put(cell, value);
      facts.append(make("dt", "", visible(name)), cell);
    }
    place.append(facts);
    if (page.error) { const line = make("div", "error"); put(line, page.error); place.append(line); }
    for (const [kind, who, text] of page.blocks) {
      if (who === "") { const line = make("div", "setup"); put(line, text); place.append(line); continue; }
      const head = make("div", "who " + kind);
      put(head, who);
      place.append(head, ...body(text, kind === "reasoning" ? "reasoning" : ""));
    }
    if (page.kept) { const line = make("div", "setup"); put(line, page.kept); place.append(line); }
    const needle = state.text.toLowerCase();
    for (const [label, text] of page.artifacts) {
      const hit = needle && text.toLowerCase().includes(needle);
      place.append(fold(label + " (" + count(text.length) + " characters)", text, Boolean(hit)));
    }
  };
  const open = async (i, place) => {
    place.textContent = "Reading…";
    try {
      const page = await transcript(i);
      if (page) { render(page, place); return; }
      const row = data.runs[columns.run[i]];
      place.textContent = "";
      place.append(make("div", "setup", "This transcript is not in the file. In a terminal:"),
        make("pre", "", "longcat-eval show " + quoted(row.path) + " " + quoted(field("task", i) + "/" + columns.sample[i])
          + " --repeat " + columns.repeat[i] + "\nlongcat-eval view " + quoted(row.path)));
    } catch (error) {
      place.textContent = "";
      place.append(make("div", "error", visible(String(error.message || error))));
    }
  };
  const quoted = (text) => /^[\w./#:@%+=-]+$/.test(text) ? text : "'" + text.replaceAll("'", "'\\''") + "'";

  /* ---- the list ---- */
  const filters = make("div", "filters"), status = make("p", "status"), list = make("ul", "list");
  const pagers = [make("div", "pager"), make("div", "pager")];
  status.setAttribute("role", "status");
  const item = (i) => {
    const li = make("li"), button = make("button", "attempt"), place = make("div", "open");
    const value = columns.value[i], reason = field("reason", i), runs = data.runs.length > 1;
    button.type = "button";
    button.setAttribute("aria-expanded", "false");
    const name = make("span", "key-text"), answer = make("span", "answer"), end = make("span", "end");
    put(name, (runs ? "run " + (columns.run[i] + 1) + " · " : "") + field("task", i) + "/" + columns.sample[i] + " #" + columns.repeat[i]);
    name.title = visible((runs ? data.runs[columns.run[i]].label + ": " : "") + columns.sample[i]);
    put(answer, columns.extracted[i] === null ? "" : columns.extracted[i]);
    put(end, field("outcome", i) + (reason ? " (" + reason + ")" : ""));
    button.append(make("span", "dot " + result(i)), name, end, answer,
      make("span", "score", value === null ? "no score" : String(Math.round(value * 1000) / 1000)));
    place.hidden = true;
    const toggle = (show) => {
      place.hidden = !show;
      button.setAttribute("aria-expanded", String(show));
      if (show) open(i, place); else place.textContent = "";
    };
    button.addEventListener("click", () => {
      const show = place.hidden;
      toggle(show);
      history.replaceState(null, "", show ? "#" + address(i) : "#attempts");
    });
    li.append(button, place);
    if (state.pair) li.className = columns.run[i] === state.pair.base ? "base-side" : "cand-side";
    if (i === state.opened || (state.pair && columns.repeat[i] === 0)) toggle(true);
    return li;
  };
  const address = (i) => new URLSearchParams({
    run: columns.run[i] + 1, task: field("task", i), sample: columns.sample[i], repeat: columns.repeat[i],
  }).toString();
  const unfix = () => { state.only = state.opened = -1; state.pair = null; };
  const draw = () => {
    select();
    const pages = Math.max(1, Math.ceil(matches.length / PAGE));
    state.page = Math.min(state.page, pages - 1);
    const from = state.page * PAGE;
    list.classList.toggle("pair", Boolean(state.pair));
    list.replaceChildren(...matches.slice(from, from + PAGE).map(item));
    for (const pager of pagers) {
      pager.hidden = pages === 1;
      const back = make("button", "", "Back"), next = make("button", "", "Next");
      back.type = next.type = "button";
      back.disabled = state.page === 0;
      next.disabled = state.page === pages - 1;
      back.addEventListener("click", () => { state.page--; draw(); });
      next.addEventListener("click", () => { state.page++; draw(); });
      pager.replaceChildren(back, make("span", "quiet", "page " + count(state.page + 1) + " of " + count(pages)), next);
    }
    tell();
  };
  let searched = "";
  const tell = () => {
    const some = matches.length === total ? count(total) + " attempts" : count(matches.length) + " of " + count(total) + " attempts";
    status.textContent = [some, searched].filter(Boolean).join(" · ");
    if (state.only >= 0 || state.pair) {
      const all = make("button", "", "Show all");
      all.type = "button";
      all.addEventListener("click", () => { unfix(); history.replaceState(null, "", "#attempts"); draw(); });
      status.append(" ", all);
    }
  };

  /* ---- searching transcripts ---- */
  const stop = () => { searching++; searched = ""; state.found = null; };
  const search = async () => {
    stop();
    const mine = searching, needle = state.text.toLowerCase(), found = new Set();
    if (!needle) { draw(); return; }
    state.found = found;
    const progress = (done, all, note) => { searched = (done < all ? "searching transcripts: " : "searched transcripts: ") + count(done) + " of " + count(all) + (note || ""); };
    try {
      if (live) {
        for (let from = 0; from < total;) {
          const part = await ask("search/" + generation + "?" + new URLSearchParams({ text: state.text, from }));
          if (mine !== searching) return;
          part.found.forEach((i) => found.add(i));
          from = part.next;
          progress(from, total);
          draw();
        }
      } else {
        const members = new Map();
        for (let i = 0; i < total; i++) {
          if (columns.chunk[i] < 0) continue;
          if (!members.has(columns.chunk[i])) members.set(columns.chunk[i], []);
          members.get(columns.chunk[i]).push(i);
        }
        const all = [...members.values()].reduce((sum, each) => sum + each.length, 0);
        const note = all < total ? "; " + count(total - all) + " are not in this file" : "";
        let done = 0, drawn = performance.now();
        for (const [number, rows] of members) {
          const pages = await unpack("chunk" + number);
          if (mine !== searching) return;
          for (const i of rows) {
            const page = pages[columns.place[i]];
            const hit = [...page.blocks.map((block) => block[2]), ...page.artifacts.map((pair) => pair[1]), page.error || ""]
              .some((text) => text.toLowerCase().includes(needle));
            if (hit) found.add(i);
          }
          done += rows.length;
          if (performance.now() - drawn > 300) { progress(done, all, note); draw(); drawn = performance.now(); }
        }
        progress(all, all, note);
      }
    } catch (error) {
      if (mine !== searching) return;
      searched = "the search ended: " + visible(String(error.message || error));
    }
    draw();
  };

  /* ---- controls ---- */
  const chooser = (label, options, key) => {
    const control = make("select");
    control.setAttribute("aria-label", label);
    for (const [value, text] of options) {
      const option = make("option", "", visible(text));
      option.value = value;
      control.append(option);
    }
    control.addEventListener("change", () => { state[key] = control.value; state.page = 0; unfix(); draw(); });
    filters.append(control);
    return control;
  };
  /* An address shows what it names, whatever was filtered before. */
  const clear = () => {
    stop();
    Object.assign(state, { run: "", task: "", result: "", text: "", page: 0 });
    for (const control of document.querySelectorAll("#browser select, #browser input")) control.value = "";
  };
  const follow = () => {
    const wanted = new URLSearchParams(location.hash.slice(1));
    if (wanted.has("question")) {
      unfix();
      clear();
      const run = (name) => Number(wanted.get(name)) - 1;
      state.pair = { base: run("base"), cand: run("cand"), question: wanted.get("question"), task: data.lists.task.indexOf(wanted.get("task")) };
      draw();
      document.getElementById("attempts").scrollIntoView();
      return;
    }
    if (!wanted.has("sample")) return;
    const run = Number(wanted.get("run") || 1) - 1, repeat = Number(wanted.get("repeat") || 0);
    const task = data.lists.task.indexOf(wanted.get("task"));
    for (let i = 0; i < total; i++) {
      if (columns.run[i] === run && columns.task[i] === task && columns.repeat[i] === repeat && columns.sample[i] === wanted.get("sample")) {
        unfix();
        clear();
        state.only = state.opened = i;
        draw();
        browser.scrollIntoView();
        return;
      }
    }
  };
  const start = async () => {
    status.textContent = "Reading the index…";
    browser.append(filters, status, pagers[0], list, pagers[1]);
    data = await unpack("index");
    columns = data.columns;
    total = columns.run.length;
    if (data.runs.length > 1) chooser("Run", [["", "All runs"], ...data.runs.map((run, i) => [String(i), "run " + (i + 1) + ": " + run.label])], "run");
    if (data.lists.task.length > 1) chooser("Benchmark", [["", "All benchmarks"], ...data.lists.task.map((name) => [name, name])], "task");
    chooser("Result", [["", "All results"], ["right", "score 1"], ["part", "score between 0 and 1"], ["wrong", "score 0"],
      ["lost", "no score"], ...data.lists.outcome.map((name) => ["=" + name, name])], "result");
    const form = make("form", "filters"), input = make("input"), button = make("button", "", "Search transcripts");
    input.type = "search";
    input.placeholder = "Filter by name or answer";
    input.setAttribute("aria-label", "Filter by name or answer, or search transcripts");
    button.type = "submit";
    let waiting = 0;
    input.addEventListener("input", () => {
      clearTimeout(waiting);
      waiting = setTimeout(() => { stop(); state.text = input.value.trim(); state.page = 0; unfix(); draw(); }, 150);
    });
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      clearTimeout(waiting);
      state.text = input.value.trim();
      state.page = 0;
      unfix();
      search();
    });
    form.append(input, button);
    filters.after(form);
    draw();
    follow();
    window.addEventListener("hashchange", follow);
  };
  const begin = () => start().catch((error) => {
    status.textContent = typeof DecompressionStream === "undefined"
      ? "The list of attempts needs a browser with DecompressionStream (2023 or newer)."
      : "The list of attempts cannot be read: " + String(error.message || error);
  });
  requestAnimationFrame(() => setTimeout(begin, 0));
})();

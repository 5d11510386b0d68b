// What viser's page lacks: keys, clicks that are no drags, and drawing over the scene. Runs once in each tab; page.py brings it there.
//
// It talks to the server through a text field of viser's that it hides, and presses buttons of viser's by their labels;
// nothing of viser is replaced. ASCII only.
(() => {
  if (window.ft2s) return;
  const state = { tool: "click", size: 0.2, split: null, look: "after", hints: {} };
  Object.assign(state, window.ft2sState);
  window.ft2s = { set: (changes) => { Object.assign(state, changes); showSplit(); showCursor(null); showTool(); showHints(); } };
  const clicks = ["click", "color"], drawings = ["rectangle", "lasso", "brush"];
  const tabOf = (name) => [...document.querySelectorAll("[role=tab]")].find((it) => it.textContent.trim() === name);
  // One draws where the tools are: in other tabs a drag turns the view, and a click selects.
  function tool() {
    const elsewhere = tabOf("Edit")?.getAttribute("aria-selected") === "false";
    return elsewhere && drawings.includes(state.tool) ? "click" : state.tool;
  }

  // --- the looks ---
  const style = document.createElement("style");
  style.textContent = LOOKS; // page.css
  document.head.append(style);
  // Nothing here scrolls sideways; but a browser does it all the same when what has the focus reaches over the edge.
  addEventListener("scroll", (event) => {
    const scrolled = event.target.scrollingElement || event.target;
    if (scrolled.scrollLeft) scrolled.scrollLeft = 0;
  }, true);

  // --- where drawing is slow ---
  // viser's page draws as often as it can: in software that takes all cores, from the session, too, if it is on this
  // machine. A page that draws slowly does so a few times a second while nobody touches it.
  const draw = window.requestAnimationFrame.bind(window), cancel = window.cancelAnimationFrame.bind(window);
  const held = new Map(), slow = 50, pause = 250; // milliseconds
  let touched = 0, drawn = 0, apart = 0, lastHeld = 0;
  function touch() {
    touched = performance.now();
    [...held.keys()].forEach(release);
  }
  function release(id) {
    const frame = held.get(id);
    held.delete(id);
    if (frame) drawNow(frame);
  }
  function drawNow(frame) {
    return draw((now) => {
      const since = performance.now() - drawn;
      drawn += since;
      if (since > 0 && since < 200) apart += (since - apart) / 8; // more is a rest, or a hidden tab
      frame(now);
    });
  }
  window.requestAnimationFrame = (frame) => {
    if (apart < slow || performance.now() < touched + 700) return drawNow(frame);
    held.set(--lastHeld, frame);
    setTimeout(release, pause, lastHeld);
    return lastHeld;
  };
  window.cancelAnimationFrame = (id) => { if (!held.delete(id)) cancel(id); };
  for (const kind of ["pointerdown", "pointermove", "wheel", "keydown"]) window.addEventListener(kind, touch, true);

  // --- to the server ---
  const waiting = [];
  let sending = false, number = Date.now(); // viser passes over what was said before, by another tab too
  function rowOf(label) {
    for (const found of document.querySelectorAll("label")) {
      if (found.textContent !== label) continue;
      let row = found;
      while (row && !row.querySelector("input")) row = row.parentElement;
      if (row) return row.parentElement;
    }
    return null;
  }
  function send(message) {
    waiting.push({ ...message, number: ++number });
    pump();
  }
  function pump() {
    if (sending || !waiting.length) return;
    const row = rowOf("page");
    sending = true;
    // viser sends one message in 50 ms and forgets all but the last of those between.
    setTimeout(() => { sending = false; pump(); }, 70);
    if (row === null) return;
    write(row.querySelector("input"), JSON.stringify(waiting.shift()));
  }
  function write(input, text) { // as if it were typed, which React hears
    Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set.call(input, text);
    input.dispatchEvent(new Event("input", { bubbles: true }));
  }
  const buttonsOf = (label) => [...document.querySelectorAll("button")].filter((it) => it.textContent.trim() === label);
  const buttonOf = (label) => buttonsOf(label).find((it) => !it.disabled);
  const press = (...labels) => labels.map(buttonOf).find((it) => it)?.click();
  new MutationObserver(() => {
    const row = rowOf("page");
    if (row === null) return;
    row.classList.add("ft2s-hidden");
    for (let box = row; box !== document.body; box = box.parentElement)
      if (getComputedStyle(box).position === "fixed") box.classList.add("ft2s-bottom");
    scene()?.parentElement.parentElement.classList.add("ft2s-scene");
    // What is said, and the buttons below it, stay in sight, wherever one has scrolled to.
    let top = document.querySelector(".ft2s-said");
    while (top && !top.parentElement?.querySelector("[role=tablist]")) top = top.parentElement;
    top?.classList.add("ft2s-top");
    top?.querySelector(".mantine-Progress-root")?.parentElement.parentElement.classList.add("ft2s-row");
    // nerfstudio's export writes commands, most of which do not fit: ours is under Save.
    tabOf("Export")?.classList.add("ft2s-hidden");
    // What takes an edit off stands beside what makes one.
    const off = buttonsOf("Original look")
      .map((it) => it.parentElement).find((it) => it.previousElementSibling?.matches(":has(> button)"));
    off?.classList.add("ft2s-half");
    off?.previousElementSibling.classList.add("ft2s-half");
    // nerfstudio's, as loud as what one came for.
    for (const it of ["Show Train Cams", "Hide Train Cams"].flatMap(buttonsOf)) it.classList.add("ft2s-quiet");
    showTool();
    showHints();
  }).observe(document.body, { childList: true, subtree: true, attributeFilter: ["aria-selected"] });

  // --- hints of buttons: viser forgets theirs ---
  function showHints() {
    for (const button of document.querySelectorAll("button")) {
      const hint = state.hints[button.textContent.trim()];
      if (hint !== undefined && button.title !== hint) button.title = hint;
    }
  }

  // --- the sentence: what is typed there replaces what stood there, which was for another object ---
  let begun = null; // the field, from when it gets the focus to the first key or click
  const isSentence = (field) => ["Sentence", "Becomes"].some((label) => rowOf(label)?.contains(field));
  addEventListener("focusin", (event) => { begun = isSentence(event.target) ? event.target : null; begun?.select(); });
  addEventListener("keydown", () => { begun = null; }, true);
  addEventListener("mousedown", (event) => {
    const field = event.target;
    if (!isSentence(field) || (field === document.activeElement && field !== begun)) return;
    event.preventDefault(); // no cursor in the middle; the next press puts one there
    field.focus();
    field.select();
    begun = null;
  }, true);

  // --- keys ---
  const tools = { c: "click", k: "color", r: "rectangle", l: "lasso", b: "brush", v: "look around" };
  const help = [
    ["Enter (in Sentence), Ctrl Enter", "apply"], ["P", "pause, resume"], ["Esc", "stop"], ["Ctrl Z, Ctrl Shift Z", "undo, redo"],
    ["C K R L B V", "click, color, rectangle, lasso, brush, look around"], ["[ ]", "size of the brush and of parts"],
    ["Shift, Alt held", "add, take away"], ["Space held", "turn the view while drawing"],
    ["F", "the object into view"], ["H", "hide the panel"], ["W A S D Q E, arrows", "move, turn"],
    ["Shift 1 to 9, 1 to 9, 0", "keep this view, back to it, to the first one"], ["?", "this help"]];
  let space = false;
  const combineOf = (event) => (event.shiftKey ? "add" : event.altKey ? "take away" : "");
  function showHelp() {
    const shown = document.querySelector(".ft2s-help");
    if (shown) return shown.remove();
    const box = document.createElement("div");
    box.className = "ft2s-help";
    const table = box.appendChild(document.createElement("table"));
    for (const [keys, what] of help) {
      const row = table.insertRow();
      row.insertCell().appendChild(document.createElement("kbd")).textContent = keys;
      row.insertCell().textContent = what;
    }
    box.onclick = () => box.remove();
    document.body.append(box);
  }
  window.addEventListener("keydown", (event) => {
    const key = event.key.toLowerCase(), control = event.ctrlKey || event.metaKey;
    if (event.target instanceof HTMLInputElement && event.target.type !== "checkbox") {
      const does = { Sentence: ["Apply", "Next round"], Words: ["Select by words"] };
      const field = Object.keys(does).find((label) => rowOf(label)?.contains(event.target));
      if (key === "enter" && field) {
        event.target.blur();
        setTimeout(() => press(...does[field]), 150); // after the last letters, see pump
      } else if (key === "escape" || (key === "enter" && isColor(event.target))) event.target.blur();
      // viser moves the camera by these, also while one types.
      else if ("wasdqe".includes(key)) event.stopPropagation();
      return;
    }
    // Not by the buttons, which cannot be pressed when there is nothing to undo: one wants to be told that.
    if (control && "zy".includes(key)) send({ kind: key === "y" || event.shiftKey ? "redo" : "undo" });
    else if (control && key === "enter") press("Apply", "Next round");
    else if (control) return;
    else if (key === "escape") press("Stop");
    else if (key === "alt") ; // not the browser's menu
    else if (key === " ") space = true;
    else if (key in tools) { tabOf("Edit")?.click(); send({ kind: "tool", tool: tools[key] }); }
    else if (key === "[" || key === "]") send({ kind: "size", larger: key === "]" });
    else if (key === "f") send({ kind: "frame" });
    else if (key === "h") document.querySelector(".tabler-icon-chevron-right, .tabler-icon-chevron-left")?.closest("button")?.click();
    else if (key === "p") press("Pause", "Resume");
    else if (/^Digit\d$/.test(event.code)) send({ kind: "bookmark", place: event.code[5], keep: event.shiftKey });
    else if (key === "?") showHelp();
    else return;
    event.preventDefault();
    event.stopPropagation();
  }, true);
  window.addEventListener("keyup", (event) => { if (event.key === " ") space = false; }, true);
  window.addEventListener("blur", () => { space = false; });

  // --- clicks and drawings ---
  const over = document.createElement("canvas");
  over.className = "ft2s-over";
  document.body.append(over);
  const brush = over.getContext("2d");
  const still = 3; // pixels by which a click may move
  let line = null, began = null, pointers = 0, sliding = false;
  const isScene = (it) => it instanceof HTMLCanvasElement && it.dataset.engine !== undefined;
  const scene = () => document.querySelector("canvas[data-engine]");
  function place() {
    const box = scene().getBoundingClientRect();
    Object.assign(over.style, { left: box.left + "px", top: box.top + "px" });
    if (over.width !== Math.round(box.width) || over.height !== Math.round(box.height)) {
      over.width = Math.round(box.width);
      over.height = Math.round(box.height);
    }
    brush.clearRect(0, 0, over.width, over.height);
    over.classList.add("ft2s-hidden"); // a busy browser may show for long what was cleared
    return box;
  }
  // A drag that draws does not turn the view: one sees beforehand which it will be.
  function showTool() {
    const canvas = scene();
    if (canvas) canvas.style.cursor = drawings.includes(tool()) ? "crosshair" : "auto";
  }
  function at(event) {
    const box = scene().getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }
  function showCursor(event) {
    if (scene() === null) return;
    const box = place(), [w, h] = [box.width, box.height];
    const points = (line ?? (event ? [at(event)] : [])).map(([x, y]) => [x * w, y * h]);
    if (!points.length || (!line && tool() !== "brush")) return;
    over.classList.remove("ft2s-hidden");
    brush.strokeStyle = "#19d9ff";
    brush.fillStyle = brush.strokeStyle;
    brush.lineWidth = 1.5;
    if (tool() === "brush") {
      const [x, y] = points[points.length - 1], radius = (state.size * h) / 2;
      brush.beginPath();
      brush.arc(x, y, radius, 0, 2 * Math.PI);
      brush.stroke();
      if (!line) return;
      brush.globalAlpha = 0.35;
      brush.lineWidth = 2 * radius;
      brush.lineCap = brush.lineJoin = "round";
      brush.beginPath();
      points.forEach(([px, py]) => brush.lineTo(px, py));
      brush.lineTo(x + 0.01, y);
      brush.stroke();
    } else if (line) {
      brush.beginPath();
      if (tool() === "lasso") points.forEach(([px, py]) => brush.lineTo(px, py));
      else {
        const [[x0, y0], [x1, y1]] = [points[0], points[points.length - 1]];
        brush.rect(x0, y0, x1 - x0, y1 - y0);
      }
      brush.closePath();
      brush.stroke();
      brush.globalAlpha = 0.15;
      brush.fill();
    }
    brush.globalAlpha = 1;
  }
  window.addEventListener("pointerdown", (event) => {
    if (!isScene(event.target)) return;
    if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
    pointers += 1;
    began = null;
    if (event.button !== 0 || space) return;
    if (nearSplit(event)) sliding = true;
    else if (drawings.includes(tool())) line = pointers === 1 ? [at(event)] : null;
    // Where the hand is shown, viser has something to click on itself: a camera's picture.
    else if (clicks.includes(tool()) && pointers === 1 && document.body.style.cursor !== "pointer") began = event;
    if (sliding || line) event.stopPropagation();
  }, true);
  window.addEventListener("pointermove", (event) => {
    if (sliding) return slide(event);
    if (began && Math.hypot(event.clientX - began.clientX, event.clientY - began.clientY) > still) began = null;
    if (line) {
      const [x, y] = at(event), [lx, ly] = line[line.length - 1];
      if (Math.hypot(x - lx, y - ly) > 0.003) line.push([x, y]);
      event.stopPropagation();
    }
    if (drawings.includes(tool())) showCursor(isScene(event.target) ? event : null);
  }, true);
  function ended(event) {
    const points = began ? [at(began)] : line;
    stop();
    if (!points) return;
    place();
    const step = Math.ceil(points.length / 200);
    const some = points.filter((_, i) => i % step === 0 || i === points.length - 1);
    const kind = points.length === 1 && tool() !== "brush" ? "click" : "drawing", combine = combineOf(event);
    send({ kind, drawing: tool(), combine, points: some.map((p) => p.map((v) => Math.round(v * 1e4) / 1e4)) });
  }
  function stop() {
    pointers = 0;
    sliding = false;
    line = began = null;
  }
  window.addEventListener("pointerup", ended, true);
  window.addEventListener("pointercancel", stop, true);

  // --- what is shown, and what stands beside it ---
  const labels = [0, 1].map(() => {
    const label = document.createElement("div");
    label.className = "ft2s-label ft2s-hidden";
    document.body.append(label);
    return label;
  });
  function dividerX() {
    const box = scene().getBoundingClientRect();
    return box.left + state.split * box.width;
  }
  function nearSplit(event) { return state.split !== null && Math.abs(event.clientX - dividerX()) < 9; }
  function showSplit() {
    const texts = state.look === "after" ? [] : state.look.split(" | ");
    buttonOf("Compare")?.setAttribute("aria-pressed", texts.length > 1);
    labels.forEach((label, side) => {
      label.textContent = texts[side] ?? "";
      label.classList.toggle("ft2s-hidden", !texts[side]);
    });
    if (!texts.length || scene() === null) return;
    const box = scene().getBoundingClientRect();
    const x = Math.min(state.split === null ? box.left + 90 : dividerX(), box.right - 80);
    labels[0].style.right = window.innerWidth - x + 8 + "px";
    labels[1].style.left = x + 8 + "px";
    labels.forEach((label) => { label.style.top = box.top + 12 + "px"; });
  }
  function slide(event) {
    state.split = Math.min(0.95, Math.max(0.05, at(event)[0]));
    showSplit();
    const last = waiting[waiting.length - 1];
    if (last?.kind === "split") last.at = state.split;
    else send({ kind: "split", at: state.split });
    event.stopPropagation();
  }
  window.addEventListener("resize", showSplit);

  // --- a color that is typed ---
  // viser takes half a color for one that is no number: it gets whole ones, by their code or by any name that the browser knows.
  const code = /^#[0-9a-f]{6}$/i;
  const isColor = (it) => it instanceof HTMLInputElement && it.classList.contains("mantine-ColorInput-input");
  const known = document.createElement("canvas").getContext("2d");
  function codeOf(text) {
    const read = (other) => { known.fillStyle = other; known.fillStyle = text.trim(); return known.fillStyle; };
    const [one, two] = [read("#000000"), read("#ffffff")]; // what it does not know leaves what was there
    return one === two && code.test(one) ? one : null;
  }
  window.addEventListener("input", (event) => {
    if (isColor(event.target) && !code.test(event.target.value)) event.stopImmediatePropagation();
  }, true);
  window.addEventListener("change", (event) => {
    const field = event.target;
    if (!isColor(field) || code.test(field.value)) return;
    event.stopImmediatePropagation();
    const told = codeOf(field.value) ?? field.getAttribute("value") ?? "";
    setTimeout(() => write(field, told), 50); // the field goes back to its last color when it loses the focus
  }, true);

  // --- the small pictures of skies: as the buttons below them ---
  document.addEventListener("click", (event) => {
    const sky = event.target instanceof Element && event.target.matches('img[width="31%"]') && event.target.alt;
    if (sky) press(sky[0].toUpperCase() + sky.slice(1));
  });

  // --- another sentence for an object: where it is written ---
  document.addEventListener("click", (event) => {
    const button = event.target instanceof Element ? event.target.closest("button") : null;
    if (button?.textContent.trim() !== "Restyle") return;
    tabOf("Edit")?.click();
    setTimeout(() => rowOf("Sentence")?.querySelector("input")?.focus(), 300);
    setTimeout(() => begun?.select(), 1000); // its sentence has come
  });
})();

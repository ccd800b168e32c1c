// Draws the interactive figures in place of their pictures.
//
// book/pages/interactive.py writes the numbers of a figure into a script element of
// the type application/json, behind the static picture.  Here they become a slider,
// a drawing and tables.  Nothing is fetched, so pages work when opened as files.
// Each number that is shown says in data-number where in the JSON it stands.
(() => {
  "use strict";

  const SVG = "http://www.w3.org/2000/svg";
  const DASHES = ["", "", "", "", "7 3", "2 3", "9 3 2 3", "5 5"];
  const NARROW = 640; // drawn with this width while the figure is hidden
  let figures = 0;

  // --- Elements ----------------------------------------------------------------

  function fill(element, attributes, children) {
    for (const [key, value] of Object.entries(attributes)) {
      if (value === null || value === undefined || value === false) continue;
      element.setAttribute(key, value === true ? "" : value);
    }
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  const html = (tag, attributes = {}, ...children) =>
    fill(document.createElement(tag), attributes, children);

  const svg = (tag, attributes = {}, ...children) =>
    fill(document.createElementNS(SVG, tag), attributes, children);

  // A token's text with its spaces and line ends visible.
  function visible(text) {
    if (text === "") return "∅";
    return text.replace(/^ +| +$| {2,}/g, (run) => "␣".repeat(run.length))
      .replace(/\n/g, "⏎").replace(/\t/g, "⇥");
  }

  const language = (text) => (/\p{Script=Han}/u.test(text) ? "zh" : null);

  // --- Numbers -----------------------------------------------------------------

  const decimals = (value) =>
    Math.abs(value) < 1e-6 ? (value ? 7 : 0) : (`${value}`.split(".")[1] ?? "").length;

  // Digits after the point that numbers shown together have, at most four.
  const digitsOf = (values, most = 4) => Math.min(most,
    Math.max(0, ...values.flat(Infinity).filter((v) => v !== null).map(decimals)));

  // A number that these digits would all but hide keeps its own.
  function shown(value, digits = decimals(value)) {
    const hidden = value && Math.abs(value) < 10 ** -digits;
    return value.toFixed(hidden ? decimals(value) : digits).replace("-", "−");
  }

  function number(tag, value, digits, where, attributes = {}) {
    return html(tag, { ...attributes, "data-number": where }, shown(value, digits));
  }

  // About `count` round numbers from low to high.
  function ticks(low, high, count) {
    const raw = (high - low) / count || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= raw * 0.999);
    const first = Math.ceil(low / step - 1e-9);
    const last = Math.floor(high / step + 1e-9);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return Array.from({ length: last - first + 1 }, (_, i) => {
      const value = (first + i) * step;
      return { value, text: shown(value, digits) };
    });
  }

  function extent(values, ...others) {
    const all = [...values.flat(Infinity), ...others];
    let [low, high] = [Math.min(...all), Math.max(...all)];
    if (low === high) [low, high] = [low - 0.5, high + 0.5];
    return [low, high];
  }

  // Black on these is legible on a light and on a dark page.
  function tint(value, limit) {
    const share = limit ? 0.6 * Math.min(1, Math.abs(value) / limit) : 0;
    const colour = value >= 0 ? [0, 114, 178] : [213, 94, 0];
    const mixed = colour.map((c) => Math.round(255 + share * (c - 255)));
    return `background:rgb(${mixed.join(",")});color:#000`;
  }

  const largest = (values) => Math.max(...values.flat(Infinity).map(Math.abs));

  // --- Pieces ------------------------------------------------------------------

  // Colour, dash and marker of each series; labels that differ in the framework
  // alone share the colour, PyTorch is solid and TensorFlow dashed.
  function looks(series) {
    const bare = series.map(({ label }) =>
      label.replace(/PyTorch|TensorFlow/, "").replace(/^[ ,:()]+|[ ,:()]+$/g, ""));
    const names = [...new Set(bare)];
    return series.map(({ label }, i) => {
      let place = names.indexOf(bare[i]);
      const framework = /PyTorch|TensorFlow/.exec(label)?.[0];
      if (framework && names.length === 1) place = framework === "PyTorch" ? 0 : 1;
      const dash = framework === "TensorFlow" ? "6 3" : DASHES[place % 8];
      return { place: place % 8, dash: framework === "PyTorch" ? "" : dash };
    });
  }

  const MARKERS = [
    (x, y) => svg("circle", { cx: x, cy: y, r: 3.2 }),
    (x, y) => svg("rect", { x: x - 3, y: y - 3, width: 6, height: 6 }),
    (x, y) => svg("path", { d: `M${x},${y - 4}l4,7h-8z` }),
    (x, y) => svg("path", { d: `M${x},${y - 4}l4,4l-4,4l-4,-4z` }),
    (x, y) => svg("path", { d: `M${x},${y + 4}l4,-7h-8z` }),
    (x, y) => svg("path", {
      d: `M${x - 3},${y - 3}l6,6m0,-6l-6,6`, class: "ia-cross" }),
    (x, y) => svg("path", { d: `M${x - 4},${y}h8m-4,-4v8`, class: "ia-cross" }),
    (x, y) => svg("circle", { cx: x, cy: y, r: 3, class: "ia-ring" }),
  ];

  function marker(look, x, y) {
    const element = MARKERS[look.place](x, y);
    element.classList.add("ia-marker", `ia-c${look.place}`);
    return element;
  }

  function stroke(look, attributes) {
    return svg("path", {
      class: `ia-line ia-c${look.place}`, "stroke-dasharray": look.dash || null,
      ...attributes,
    });
  }

  function legend(series, style, sample) {
    return html("ul", { class: "ia-legend" }, ...series.map(({ label }, i) =>
      html("li", {}, sample(style[i]), html("span", {}, label))));
  }

  function lineSample(look) {
    return svg("svg", { width: 34, height: 12, "aria-hidden": "true" },
      stroke(look, { d: "M1,6H33" }), marker(look, 17, 6));
  }

  // The slider with its label and value; `change` is called with the place.
  function sliderOf(slider, change) {
    const id = `ia-slider-${(figures += 1)}`;
    const text = (place) => {
      const value = slider.values[place];
      return typeof value === "number" ? shown(value) : value;
    };
    const output = html("output", { for: id, class: "ia-value" }, text(slider.start));
    const input = html("input", {
      type: "range", id, class: "ia-slider", min: 0, max: slider.values.length - 1,
      step: 1, value: slider.start, "aria-label": slider.label,
      "aria-valuetext": text(slider.start), autocomplete: "off",
    });
    input.value = slider.start; // a browser may restore an older one
    input.addEventListener("input", () => {
      const place = Number(input.value);
      output.textContent = text(place);
      input.setAttribute("aria-valuetext", text(place));
      change(place);
    });
    return html("div", { class: "ia-control" },
      html("label", { for: id }, slider.label), input, output);
  }

  // A table of the readout; returns the element and how to set it.
  function readoutOf(readout, at) {
    if (!readout.length) return [null, () => {}];
    const digits = readout.map(({ values }) => digitsOf([values]));
    const cells = readout.map(({ values }, i) =>
      number("td", at(values, null), digits[i], `readout/${i}`));
    const table = html("table", { class: "ia-readout" }, html("tbody", {},
      ...readout.map(({ label }, i) =>
        html("tr", {}, html("th", { scope: "row" }, label), cells[i]))));
    const set = (place) => readout.forEach(({ values }, i) => {
      cells[i].textContent = shown(at(values, place), digits[i]);
    });
    return [html("div", { class: "ia-scroll" }, table), set];
  }

  // The colours of the numbers up to `limit`, from the least to the largest.
  function scaleOf(values) {
    const limit = largest(values);
    const negative = values.flat(Infinity).some((v) => v < 0);
    const stops = negative ? [-limit, -limit / 2, 0, limit / 2, limit] : [0, limit / 2, limit];
    const round = (v) => shown(Number(v.toPrecision(2)));
    return html("div", { class: "ia-scale", role: "note",
      "aria-label": negative ? `Colours from ${round(-limit)}, orange, over 0, white, `
        + `to ${round(limit)}, blue` : `Colours from 0, white, to ${round(limit)}, blue` },
    ...stops.map((v) => html("span", { style: tint(v, limit) }, round(v))));
  }

  // --- Kinds: each returns [elements, set(place), resize(width)] ---------------

  function lines(data, at) {
    const style = looks(data.lines);
    const all = data.lines.map(({ values }) => values);
    const log = data.xscale === "log";
    const [low, high] = extent(all);
    const room = (high - low) * 0.05;
    const scaled = (x) => (log ? Math.log(x) : x);
    const [left, right] = extent(data.x.map(scaled));
    const drawing = svg("svg", { class: "ia-drawing", role: "img" });
    const digits = data.lines.map(({ values }) => digitsOf([values]));
    const xdigits = digitsOf([data.x]);
    const cells = data.lines.map(({ values }, k) => data.x.map((_, i) =>
      number("td", at(values, null)[i], digits[k], `lines/${k}/${i}`)));
    let width = NARROW, place = null;

    function draw() {
      const height = Math.round(Math.min(360, Math.max(230, width * 0.52)));
      const yticks = ticks(low - room, high + room, 5);
      const xticks = log ? data.x.map((value) => ({ value, text: shown(value) }))
        : ticks(left, right, Math.max(3, Math.min(8, Math.floor(width / 80))));
      const margin = {
        left: 22 + 7.5 * Math.max(...yticks.map(({ text }) => text.length)),
        right: Math.max(12, 4 * xticks.at(-1).text.length), top: 10, bottom: data.xlabel ? 44 : 26,
      };
      const px = (x) => margin.left + ((scaled(x) - left) / (right - left))
        * (width - margin.left - margin.right);
      const py = (y) => height - margin.bottom - ((y - low + room)
        / (high - low + 2 * room)) * (height - margin.top - margin.bottom);
      const parts = [];
      for (const { value, text } of yticks) {
        const y = py(value);
        parts.push(
          svg("path", { class: "ia-grid", d: `M${margin.left},${y}H${width - margin.right}` }),
          svg("text", { x: margin.left - 6, y: y + 4, "text-anchor": "end" }, text));
      }
      let last = -Infinity;
      for (const { value, text } of xticks) {
        const x = px(value), half = text.length * 3.8 + 4;
        if (x - half < last || x + half > width + 8) continue;
        last = x + half;
        parts.push(
          svg("path", { class: "ia-tick",
            d: `M${x},${height - margin.bottom}v5` }),
          svg("text", { x, y: height - margin.bottom + 18, "text-anchor": "middle" },
            text));
      }
      parts.push(svg("path", { class: "ia-axis",
        d: `M${margin.left},${margin.top}V${height - margin.bottom}H${width - margin.right}` }));
      if (data.xlabel) parts.push(svg("text", { class: "ia-axis-label",
        x: (margin.left + width - margin.right) / 2, y: height - 6,
        "text-anchor": "middle" }, data.xlabel));
      if (data.ylabel) parts.push(svg("text", { class: "ia-axis-label",
        transform: `translate(12,${(height - margin.bottom + margin.top) / 2}) rotate(-90)`,
        "text-anchor": "middle" }, data.ylabel));
      const every = Math.max(1, Math.ceil(data.x.length / 13));
      data.lines.forEach(({ values }, k) => {
        const points = at(values, place).map((y, i) => [px(data.x[i]), py(y)]);
        parts.push(stroke(style[k], {
          d: `M${points.map((p) => p.map((c) => c.toFixed(1)).join(",")).join("L")}` }));
        points.forEach(([x, y], i) => {
          if ((i - k) % every === 0 || points.length === 1) {
            parts.push(marker(style[k], x, y));
          }
        });
      });
      drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
      drawing.setAttribute("height", height);
      drawing.replaceChildren(...parts);
    }

    const head = html("tr", {}, html("th", { scope: "col" }, data.xlabel || "x"),
      ...data.lines.map(({ label }) => html("th", { scope: "col" }, label)));
    const rows = data.x.map((x, i) => html("tr", {},
      html("th", { scope: "row" }, shown(x, xdigits)), ...cells.map((c) => c[i])));
    const table = html("details", { class: "ia-numbers" }, html("summary", {}, "Numbers"),
      html("div", { class: "ia-scroll ia-tall", tabindex: 0 }, html("table", {},
        html("thead", {}, head), html("tbody", {}, ...rows))));
    drawing.setAttribute("aria-label",
      `${data.ylabel || "Lines"} against ${data.xlabel || "x"}; the numbers are below.`);

    return [[drawing, legend(data.lines, style, lineSample), table], (to) => {
      place = to;
      data.lines.forEach(({ values }, k) => at(values, to).forEach((value, i) => {
        cells[k][i].textContent = shown(value, digits[k]);
      }));
      draw();
    }, (to) => { width = to; draw(); }];
  }

  function bars(data, at) {
    const style = looks(data.bars);
    const all = data.bars.map(({ values }) => values);
    let [low, high] = extent(all, 0);
    const marks = ticks(low, high, 4);
    [low, high] = [Math.min(low, marks[0].value), Math.max(high, marks.at(-1).value)];
    const percent = (v) => ((v - low) / (high - low)) * 100;
    const digits = data.bars.map(({ values }) => digitsOf([values]));
    const boxes = [], numbers = [];
    const rows = data.labels.map((text, i) => {
      const lanes = data.bars.map(({ values }, k) => {
        const box = html("span", { class:
          `ia-bar ia-c${style[k].place}${style[k].dash ? " ia-hatched" : ""}` });
        const cell = number("span", at(values, null)[i], digits[k], `bars/${k}/${i}`,
          { class: "ia-bar-number" });
        (boxes[k] ??= []).push(box);
        (numbers[k] ??= []).push(cell);
        return html("div", { class: "ia-lane" },
          html("span", { class: "ia-track" },
            html("span", { class: "ia-zero", style: `left:${percent(0)}%` }), box), cell);
      });
      return html("tr", {}, html("th", { scope: "row", lang: language(text) },
        visible(text)), html("td", {}, ...lanes));
    });
    const width = Math.max(...digits) + Math.max(...marks.map((m) =>
      m.text.split(".")[0].length)) + 1.5;
    const longest = Math.max(...[data.xlabel, ...data.labels].map((x) => x.length));
    const axis = html("tr", { "aria-hidden": "true" }, html("td"), html("td", {},
      html("div", { class: "ia-lane" }, html("span", { class: "ia-track ia-marks" },
        ...marks.map(({ value, text }) =>
          html("span", { style: `left:${percent(value)}%` }, text))),
      html("span", { class: "ia-bar-number" }))));
    const head = data.ylabel || data.xlabel ? html("thead", {}, html("tr", {},
      html("th", { scope: "col" }, data.xlabel),
      html("th", { scope: "col" }, data.ylabel))) : null;
    const table = html("table", { class: "ia-bars", style:
      `--ia-number:${width}ch;--ia-label:${Math.min(longest + 2, 14)}ch` },
      head, html("tbody", {}, ...rows, axis));
    const sample = (look) => html("span", { class:
      `ia-bar ia-sample ia-c${look.place}${look.dash ? " ia-hatched" : ""}` });
    const parts = [html("div", { class: "ia-scroll" }, table)];
    if (data.bars.length > 1) parts.push(legend(data.bars, style, sample));
    return [parts, (place) => data.bars.forEach(({ values }, k) =>
      at(values, place).forEach((value, i) => {
        const from = Math.min(0, value), to = Math.max(0, value);
        boxes[k][i].style.left = `${percent(from)}%`;
        boxes[k][i].style.width = `${percent(to) - percent(from)}%`;
        numbers[k][i].textContent = shown(value, digits[k]);
      })), null];
  }

  function grid(data, at) {
    const limit = largest(data.values);
    const digits = digitsOf(data.values);
    const cells = data.rows.map((_, i) => data.columns.map((_, j) =>
      number("td", at(data.values, null)[i][j], digits, `values/${i}/${j}`)));
    const corner = [data.ylabel, data.xlabel].filter(Boolean).join(" \\ ");
    const table = html("table", { class: "ia-heat" },
      html("thead", {}, html("tr", {}, corner ? html("th", {}, corner) : html("td"),
        ...data.columns.map((text) =>
          html("th", { scope: "col", lang: language(text) }, visible(text))))),
      html("tbody", {}, ...data.rows.map((text, i) => html("tr", {},
        html("th", { scope: "row", lang: language(text) }, visible(text)),
        ...cells[i]))));
    return [[html("div", { class: "ia-scroll" }, table), scaleOf(data.values)], (place) =>
      at(data.values, place).forEach((row, i) => row.forEach((value, j) => {
        cells[i][j].textContent = shown(value, digits);
        cells[i][j].setAttribute("style", tint(value, limit));
      })), null];
  }

  function strip(data, at) {
    const digits = data.rows.map(({ values }) => digitsOf([values]));
    const numbers = data.rows.map(({ values }, k) =>
      number("td", at(values, null)[0], digits[k], `rows/${k}/0`));
    const caption = html("caption");
    let token = 0, place = null;
    let shade = data.rows.findIndex(({ label }) => label === data.shade[0]);
    const scale = html("div", { class: "ia-scales" });
    const buttons = data.tokens.map((text, t) => html("button", {
      type: "button", "aria-pressed": t === 0, tabindex: t === 0 ? 0 : -1,
      lang: language(text), class: "ia-token",
    }, visible(text)));

    function update() {
      buttons.forEach((button, t) => {
        button.setAttribute("aria-pressed", String(t === token));
        button.tabIndex = t === token ? 0 : -1;
        if (shade < 0) return;
        const { values } = data.rows[shade];
        button.setAttribute("style", tint(at(values, place)[t], largest(values)));
      });
      caption.replaceChildren(`Token ${token + 1} of ${data.tokens.length}: `,
        html("b", { lang: language(data.tokens[token]) }, visible(data.tokens[token])));
      data.rows.forEach(({ values }, k) => {
        numbers[k].textContent = shown(at(values, place)[token], digits[k]);
        numbers[k].dataset.number = `rows/${k}/${token}`;
      });
    }

    function choose(to, focus) {
      token = to;
      update();
      if (focus) buttons[to].focus();
    }

    const row = html("div", { class: "ia-strip", role: "toolbar",
      "aria-label": "Tokens; choose one with the arrow keys" }, ...buttons);
    buttons.forEach((button, t) =>
      button.addEventListener("click", () => choose(t, false)));
    row.addEventListener("keydown", (event) => {
      const end = buttons.length - 1;
      const to = {
        ArrowRight: Math.min(end, token + 1), ArrowDown: Math.min(end, token + 1),
        ArrowLeft: Math.max(0, token - 1), ArrowUp: Math.max(0, token - 1),
        Home: 0, End: end,
      }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      choose(to, true);
    });

    const parts = [row];
    if (shade >= 0) {
      const id = `ia-shade-${(figures += 1)}`;
      const select = html("select", { id, autocomplete: "off" }, ...data.shade.map((label) =>
        html("option", {}, label)));
      const colour = () => {
        const label = data.shade[Math.max(0, select.selectedIndex)];
        shade = data.rows.findIndex((r) => r.label === label);
        scale.replaceChildren(scaleOf(data.rows[shade].values));
        update();
      };
      select.addEventListener("change", colour);
      select.selectedIndex = 0;
      colour();
      const which = data.shade.length > 1
        ? [html("label", { for: id }, "Colour: "), select]
        : [html("span", {}, `Colour: ${data.shade[0]}`)];
      parts.push(html("div", { class: "ia-shade" }, html("span", {}, ...which), scale));
    }
    parts.push(html("div", { class: "ia-scroll" }, html("table", { class: "ia-readout" },
      caption, html("tbody", {}, ...data.rows.map(({ label }, k) =>
        html("tr", {}, html("th", { scope: "row" }, label), numbers[k]))))));
    return [parts, (to) => { place = to; update(); }, null];
  }

  function tree(data, at) {
    const count = data.nodes.length;
    const children = data.nodes.map(() => []), roots = [], depth = [];
    data.nodes.forEach(([, parent], i) => {
      (parent === null ? roots : children[parent]).push(i);
      depth[i] = parent === null ? 0 : depth[parent] + 1;
    });
    const digits = digitsOf(data.probs, 3);
    const rewards = data.rewards.filter((r) => r !== null);
    const rewardDigits = digitsOf(rewards, 3);
    const limit = rewards.length ? largest(rewards) : 0;
    const closed = new Set();
    const ROW = 40;
    let width = NARROW, place = null;

    const probs = data.nodes.map((_, i) => number("small",
      at(data.probs, null)[i], digits, `probs/${i}`));
    const chips = data.rewards.map((reward, i) => reward === null ? null
      : number("span", reward, rewardDigits, `rewards/${i}`,
        { class: "ia-reward", style: tint(reward, limit) }));
    const boxes = data.nodes.map(([text], i) => {
      const inner = children[i].length > 0;
      const box = html(inner ? "button" : "div", {
        class: "ia-node", type: inner ? "button" : null,
        "aria-expanded": inner ? "true" : null,
      }, html("span", { class: "ia-node-text", lang: language(text) },
        inner ? html("span", { class: "ia-fold", "aria-hidden": "true" }, "−") : null,
        visible(text)), probs[i]);
      if (inner) box.addEventListener("click", () => {
        const shut = !closed.delete(i);
        if (shut) closed.add(i);
        box.setAttribute("aria-expanded", String(!shut));
        box.querySelector(".ia-fold").textContent = shut ? "+" : "−";
        draw();
      });
      return box;
    });
    const edges = svg("svg", { class: "ia-edges", "aria-hidden": "true" });
    const drawing = html("div", { class: "ia-tree", role: "group",
      "aria-label": "Tree of texts; a node opens and closes" });

    function draw() {
      const y = [], seen = [];
      let row = 0;
      const settle = (i) => { // where a node stands: its leaves' middle
        seen.push(i);
        const open = closed.has(i) ? [] : children[i];
        open.forEach(settle);
        y[i] = open.length ? (y[open[0]] + y[open.at(-1)]) / 2 : (row++ + 0.5) * ROW;
      };
      roots.forEach(settle);
      const deepest = Math.max(...depth);
      const reward = rewards.length ? 54 : 0;
      const need = (deepest + 1) * 56 + reward;
      const wide = Math.max(width, need);
      const column = Math.min(190, (wide - reward) / (deepest + 1));
      const size = Math.min(110, column - 14);
      const left = (i) => depth[i] * column;
      const p = at(data.probs, place);
      edges.setAttribute("width", wide);
      edges.setAttribute("height", row * ROW);
      edges.replaceChildren(...seen.filter((i) => data.nodes[i][1] !== null).map((i) => {
        const parent = data.nodes[i][1];
        const from = left(parent) + size, to = left(i), middle = (from + to) / 2;
        return svg("path", { class: "ia-edge",
          d: `M${from - 4},${y[parent]}C${middle},${y[parent]} ${middle},${y[i]} ${to + 4},${y[i]}`,
          "stroke-width": (1 + 11 * p[i]).toFixed(2),
          "stroke-opacity": (0.45 + 0.55 * p[i]).toFixed(3) });
      }));
      const parts = [edges];
      for (const i of seen) {
        boxes[i].style.cssText = `left:${left(i)}px;top:${y[i] - 17}px;width:${size}px`;
        boxes[i].style.setProperty("--ia-p", Math.min(1, p[i]));
        parts.push(boxes[i]);
        if (chips[i]) {
          chips[i].style.left = `${left(i) + size + 5}px`;
          chips[i].style.top = `${y[i] - 12}px`;
          parts.push(chips[i]);
        }
      }
      const focused = document.activeElement;
      drawing.style.height = `${row * ROW}px`;
      drawing.style.width = `${(deepest + 1) * column + reward}px`;
      const there = new Set(parts);
      [...drawing.children].forEach((c) => { if (!there.has(c)) c.remove(); });
      parts.forEach((part, k) => {
        if (drawing.children[k] !== part) drawing.insertBefore(part, drawing.children[k] ?? null);
      });
      if (boxes.includes(focused)) focused.focus();
    }

    const key = html("p", { class: "ia-key" },
      "Width of a branch and number below a token: the probability that a text passes "
      + "there." + (rewards.length ? " At the right: the reward." : ""));
    return [[html("div", { class: "ia-scroll" }, drawing), key], (to) => {
      place = to;
      const p = at(data.probs, to);
      for (let i = 0; i < count; i += 1) probs[i].textContent = shown(p[i], digits);
      draw();
    }, (to) => { width = to; draw(); }];
  }

  // --- A figure ----------------------------------------------------------------

  const KINDS = { strip, lines, bars, grid, tree };

  function build(script) {
    const data = JSON.parse(script.textContent);
    // The directive has both in one box; in a chapter the cell stands before.
    const source = script.closest(".interactive-source") ??
      script.previousElementSibling;
    const before = [...(source?.querySelectorAll("img") ?? [])].filter((image) =>
      image.compareDocumentPosition(script) & Node.DOCUMENT_POSITION_FOLLOWING);
    const image = before.at(-1);
    const { slider } = data;
    // The entry of the slider's place; null stands for the first place shown.
    const at = (values, place) =>
      (slider ? values[place ?? slider.start] : values);
    const [parts, set, resize] = KINDS[data.kind](data, at);
    const [table, setTable] = readoutOf(data.readout, at);
    const change = (place) => { set(place); setTable(place); };
    const figure = html("div", {
      class: `interactive-figure mathjax_ignore ia-kind-${data.kind}`, role: "group",
      "aria-label": `Interactive figure: ${script.dataset.name.replaceAll("-", " ")}`,
      "data-name": script.dataset.name, id: `interactive-${script.dataset.name}`,
    }, slider ? sliderOf(slider, change) : null, table, ...parts);
    change(slider ? slider.start : 0);
    if (image) {
      image.classList.add("interactive-static");
      (image.closest("a") ?? image).before(figure);
    } else {
      script.before(figure);
    }
    if (!resize) return;
    let width = 0;
    new ResizeObserver(([entry]) => { // fires when a tab or a fold opens, too
      const now = Math.floor(entry.contentRect.width);
      if (now > 0 && now !== width) resize((width = now));
    }).observe(figure);
  }

  function start() {
    for (const script of document.querySelectorAll("script.interactive")) {
      try {
        build(script);
      } catch (error) { // the picture stays
        console.error(`interactive figure ${script.dataset.name}:`, error);
      }
    }
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
  } else {
    start();
  }
})();

// A box to tick before each heading "Exercise 1", kept in the reader's browser.
//
// The store has one entry a page, {"of": how many, "done": [numbers]}, from which the
// title and the list of chapters say how many are done.
(() => {
  "use strict";

  const PREFIX = "exercises:";
  const root = new URL(document.documentElement.dataset.content_root ?? "./",
    location.href).pathname;
  // "book/kl" of a link or the location, wherever the site stands.
  const pageOf = ({ pathname }) =>
    pathname.slice(root.length).replace(/\.html$/, "");

  function read(page) {
    try {
      return JSON.parse(localStorage.getItem(PREFIX + page)) ?? { of: 0, done: [] };
    } catch { // no store, or not ours
      return { of: 0, done: [] };
    }
  }

  function write(page, entry) {
    try {
      localStorage.setItem(PREFIX + page, JSON.stringify(entry));
    } catch { /* a browser may forbid it: the tick lasts as long as the page */ }
  }

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // [number, heading] of each exercise of the page.
  function exercises() {
    const headings = document.querySelectorAll("article :is(h2, h3, h4)");
    return [...headings].flatMap((heading) => {
      const match = /^Exercise (\d+)/.exec(heading.textContent.trim());
      return match ? [[Number(match[1]), heading]] : [];
    });
  }

  // What the list of chapters says behind a page of which something is done.
  function mark(link, { of, done }) {
    link.querySelector(".exercises-count")?.remove();
    if (!done.length) return;
    const text = `${done.length}/${of}`;
    const label = `, ${done.length} of ${of} exercises done`;
    link.append(element("span", { className: "exercises-count" },
      element("span", { ariaHidden: "true" }, ` ${text}`),
      element("span", { className: "visually-hidden" }, label)));
  }

  function start() {
    const page = pageOf(location);
    const found = exercises();
    const links = [...document.querySelectorAll("nav.bd-links a.reference.internal")];
    for (const link of links) mark(link, read(pageOf(link)));
    if (!found.length) return;

    const entry = { of: found.length, done: [] };
    const known = new Set(found.map(([number]) => number));
    entry.done = read(page).done.filter((number) => known.has(number));
    const count = element("a", { href: "#exercises" });
    const title = document.querySelector("article h1");
    title?.after(element("p", { className: "exercises-done" }, count));

    function show() {
      count.textContent = `${entry.done.length} of ${entry.of} exercises done`;
      for (const link of links) {
        if (pageOf(link) === page) mark(link, entry);
      }
    }

    for (const [number, heading] of found) {
      const box = element("input", {
        type: "checkbox", className: "exercise-tick", autocomplete: "off",
        checked: entry.done.includes(number), ariaLabel: `Exercise ${number} done`,
        title: "Done? Your browser remembers it.",
      });
      box.addEventListener("change", () => {
        entry.done = entry.done.filter((other) => other !== number);
        if (box.checked) entry.done.push(number);
        write(page, entry);
        show();
      });
      heading.prepend(box);
    }
    show();
  }

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", start);
  } else {
    start();
  }
})();

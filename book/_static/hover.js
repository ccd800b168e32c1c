// Cards at links to terms, references, equations and figures.
//
// They open under the mouse, at the keyboard's focus and at the first touch; Escape
// closes them.  What they show stands in hover-data.js (book/_ext/hover.py), which is
// loaded as a script at the first card, since a page on a disk can fetch nothing.
(() => {
  "use strict";

  const WAIT = 200; // milliseconds under the mouse
  const source = document.currentScript?.src;
  const root = new URL(document.documentElement.dataset.content_root ?? "./",
    location.href).href;
  const LINKS = "article a.reference.internal[href*='#']";
  let loaded = null; // a promise of the data
  let drawn = null; // a promise of the formulas' pictures
  let open = null; // the link whose card is open
  let wanted = null; // the link whose card shall open
  let timer = 0;

  const card = document.createElement("div");
  card.className = "hover-card mathjax_process tex2jax_process";
  card.id = "hover-card";
  card.setAttribute("role", "tooltip");
  card.hidden = true;

  const load = (name) => new Promise((resolve) => {
    const script = document.createElement("script");
    script.src = new URL(name, source).href;
    script.onload = script.onerror = resolve;
    document.head.append(script);
  });

  function data() {
    loaded ??= load("hover-data.js").then(() => window.hoverCards ?? {});
    return loaded;
  }

  // The formulas of the card: pictures, or where the build drew none, by MathJax.
  async function formulas() {
    drawn ??= load("hover-formulas.js").then(() => {
      const glyphs = window.hoverFormulas?.glyphs ?? "";
      document.body.insertAdjacentHTML("beforeend", glyphs);
      return window.hoverFormulas?.drawn;
    });
    const pictures = await drawn;
    for (const math of pictures ? card.querySelectorAll(".math") : [])
      math.innerHTML = pictures[math.textContent] ?? math.innerHTML;
    if (!pictures) await mathjax();
  }

  async function mathjax() {
    if (!window.MathJax) { // a page without formulas has none
      window.MathJax = { startup: { typeset: false } };
      await load("mathjax/tex-svg-full.js");
    }
    await window.MathJax.startup?.promise;
    await window.MathJax.typesetPromise?.([card]);
  }

  // The address as the data has it: relative to the site's root.
  const address = (link) =>
    (link.href.startsWith(root) ? decodeURI(link.href.slice(root.length)) : "");

  function place(link) {
    const lines = link.getClientRects(); // a link may be broken over two lines
    const box = lines[0] ?? link.getBoundingClientRect();
    const wide = document.documentElement.clientWidth;
    card.style.maxWidth = `${Math.min(480, wide - 16)}px`;
    const [width, height] = [card.offsetWidth, card.offsetHeight];
    const left = Math.max(8, Math.min(box.left, wide - width - 8));
    const below = (lines[lines.length - 1] ?? box).bottom + 6;
    const above = box.top - height - 6;
    const top = below + height <= window.innerHeight || above < 0 ? below : above;
    card.style.left = `${left}px`;
    card.style.top = `${top}px`;
  }

  async function show(link) {
    wanted = link;
    const content = (await data())[address(link)];
    if (wanted !== link || content === undefined) return;
    hide();
    wanted = open = link;
    card.innerHTML = content;
    for (const image of card.querySelectorAll("img")) {
      image.src = new URL(image.getAttribute("src"), root).href;
      image.onload = () => open === link && place(link);
    }
    if (link.title) { // the card says more
      link.dataset.title = link.title;
      link.removeAttribute("title");
    }
    link.setAttribute("aria-describedby", card.id);
    card.hidden = false;
    place(link);
    if (!card.querySelector(".math")) return;
    await formulas();
    if (open === link) place(link);
  }

  function hide() {
    clearTimeout(timer);
    wanted = null;
    if (!open) return;
    window.MathJax?.typesetClear?.([card]);
    card.hidden = true;
    card.replaceChildren();
    open.removeAttribute("aria-describedby");
    if (open.dataset.title) {
      open.title = open.dataset.title;
      delete open.dataset.title;
    }
    open = null;
  }

  function later(action) {
    clearTimeout(timer);
    timer = setTimeout(action, WAIT);
  }

  const linkOf = (target) => target.closest?.(LINKS) ?? null;
  let touched = null; // the link of the touch that goes on

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const link = linkOf(event.target);
    if (link === open && open) clearTimeout(timer); // back from the card
    else if (link) later(() => show(link));
    else if (card.contains(event.target)) clearTimeout(timer); // it may be read
    else if (open) later(hide);
    else hide(); // nor shall one open that is on its way
  });
  document.addEventListener("pointerdown", (event) => {
    touched = event.pointerType === "touch" ? linkOf(event.target) : null;
    if (!card.contains(event.target) && linkOf(event.target) !== open) hide();
  });
  document.addEventListener("click", async (event) => {
    const link = linkOf(event.target);
    if (!link) return;
    const first = link === touched && link !== open;
    touched = null;
    if (!first) {
      hide();
      return;
    }
    event.preventDefault(); // the second touch follows the link
    if ((await data())[address(link)]) show(link);
    else location.assign(link.href);
  });
  document.addEventListener("focusin", (event) => {
    const link = linkOf(event.target);
    if (link && link.matches(":focus-visible") && !touched) show(link);
  });
  document.addEventListener("focusout", (event) => {
    if (linkOf(event.target) === wanted) hide();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  window.addEventListener("resize", hide);
  window.addEventListener("scroll", () => open && place(open), { passive: true });

  if (document.readyState === "loading") {
    document.addEventListener("DOMContentLoaded", () => document.body.append(card));
  } else {
    document.body.append(card);
  }
})();

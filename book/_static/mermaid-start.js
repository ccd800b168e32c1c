// Draws the diagrams, and again whenever the reader changes the theme.
(() => {
  const root = document.documentElement;
  const diagrams = [...document.querySelectorAll("pre.mermaid")];
  const sources = diagrams.map((pre) => pre.textContent);
  let drawing = Promise.resolve();
  let drawn = null;

  async function draw() {
    const theme = root.dataset.theme === "dark" ? "dark" : "neutral";
    if (theme === drawn) return;
    drawn = theme;
    mermaid.initialize({ startOnLoad: false, theme });
    diagrams.forEach((pre, i) => {
      pre.removeAttribute("data-processed");
      pre.textContent = sources[i];
    });
    await mermaid.run({ nodes: diagrams });
  }

  const queue = () => { drawing = drawing.then(draw); };
  new MutationObserver(queue).observe(root, { attributeFilter: ["data-theme"] });
  queue();
})();

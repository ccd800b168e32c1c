// Draws the diagrams once; in dark mode the theme inverts their colours.
// One that is a little too wide is made smaller; on a phone a much wider one keeps
// its size, so that it can be read, and scrolled.
mermaid.initialize({
  startOnLoad: false,
  theme: "neutral",
  flowchart: { useMaxWidth: false },
});
mermaid.run({ querySelector: "pre.mermaid" }).then(() => {
  for (const svg of document.querySelectorAll("pre.mermaid svg")) {
    const share = svg.parentElement.clientWidth / svg.viewBox.baseVal.width;
    if (share < 1 && (share > 0.6 || window.innerWidth >= 700)) {
      svg.style.maxWidth = "100%";
      svg.style.height = "auto";
    }
  }
});

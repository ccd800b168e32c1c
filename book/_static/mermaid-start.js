// Draws the diagrams once; in dark mode the theme inverts their colours.
// They keep their size, so that they can be read, and scrolled, on a phone.
mermaid.initialize({
  startOnLoad: false,
  theme: "neutral",
  flowchart: { useMaxWidth: false },
});
mermaid.run({ querySelector: "pre.mermaid" });

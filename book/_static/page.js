// The current entry of the sidebar is in sight; the theme has kept where the sidebar
// stood on the page before.
window.addEventListener("load", () => {
  const entry = document.querySelector(".bd-sidebar-primary .current.active > a");
  const sidebar = entry?.closest(".bd-sidebar-primary");
  if (!sidebar) return;
  const [inner, outer] = [entry, sidebar].map((e) => e.getBoundingClientRect());
  const bottom = Math.min(outer.bottom, window.innerHeight);
  if (inner.top < outer.top || inner.bottom > bottom)
    sidebar.scrollTop += inner.top - outer.top - (bottom - outer.top) / 3;
});

// The Tab key reaches a formula that scrolls, as it does code and tables.
const wide = new ResizeObserver((changes) => {
  for (const { target } of changes) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
document.querySelectorAll(".math > mjx-container[display]").forEach((e) =>
  wide.observe(e));

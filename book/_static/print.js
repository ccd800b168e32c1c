// What paper cannot do: open a fold, choose a tab, be dark.
//
// Before a page is printed its solutions go to the end of the chapter, and its
// colours become those for light; after that everything stands where it stood.
// The address chooses a framework, ?framework=torch or ?framework=tf; without it
// paper has both, one after the other (print.css).
(() => {
  "use strict";

  const root = document.documentElement;
  let undo = null;

  function element(tag, properties, ...children) {
    const made = Object.assign(document.createElement(tag), properties);
    made.append(...children);
    return made;
  }

  // Sets an attribute until afterprint.
  function set(node, name, value) {
    const before = node.getAttribute(name);
    node.setAttribute(name, value);
    undo.push(() => before === null ? node.removeAttribute(name)
      : node.setAttribute(name, before));
  }

  // "Exercise 2: the clip", without the box and the mark beside it.
  function exerciseOf(solution) {
    const heading = solution.closest("section").querySelector("h2, h3, h4").cloneNode(true);
    for (const extra of heading.querySelectorAll("input, .headerlink")) extra.remove();
    return heading.textContent.trim();
  }

  function gather(solutions) {
    const end = element("section", { id: "printed-solutions" },
      element("h2", { textContent: "Solutions" }));
    for (const solution of solutions) {
      const title = element("h3", { textContent: exerciseOf(solution) });
      const link = element("a", { href: `#${solution.id}`,
        textContent: "The solution stands at the end of the chapter." });
      const left = element("p", { className: "printed-solution" }, link);
      solution.replaceWith(left);
      set(solution, "open", "");
      end.append(element("section", { id: `printed-${solution.id}` }, title, solution));
      undo.push(() => left.replaceWith(solution));
    }
    document.querySelector("article.bd-article > section").append(end);
    undo.push(() => end.remove());
  }

  addEventListener("beforeprint", () => {
    if (undo) return;
    undo = [];
    set(root, "data-theme", "light");
    const framework = new URLSearchParams(location.search).get("framework");
    if (framework) set(root, "data-printed-framework", framework);
    const solutions = document.querySelectorAll("article details.solution");
    if (solutions.length) gather(solutions);
  });

  addEventListener("afterprint", () => {
    for (const step of undo?.reverse() ?? []) step();
    undo = null;
  });
})();

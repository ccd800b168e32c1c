// Excerpts of the page "Search"; book/_ext/book_search.py adds what is found.
"use strict";

// A page may not fetch another one from the disk.
if (location.protocol === "file:") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

// Of the text alone: buttons and the contents for print are no excerpt.
Search.htmlToText = (page, anchor) => {
  const article = new DOMParser()
    .parseFromString(page, "text/html")
    .querySelector("article");
  const part = (anchor && article.querySelector(anchor)) || article;
  for (const e of part.querySelectorAll("script, style, .headerlink")) e.remove();
  return part.textContent;
};

// A page that is found by a word that it does not show has none.
const excerpt = Search.makeSearchSummary;
Search.makeSearchSummary = (page, words, anchor) => {
  const text = Search.htmlToText(page, anchor).toLowerCase();
  const shown = [...words].some((word) => text.includes(word));
  return shown ? excerpt(page, words, anchor) : new DocumentFragment();
};

// Keys for what the page already has as links, buttons and fields; the page works without this file.
"use strict";
(function () {
  function busy(el) {
    return el && (el.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(el.tagName));
  }
  var sent = false;
  document.addEventListener("submit", function (event) {
    if (sent) { event.preventDefault(); return; } // a held key must not decide the next item too
    sent = true;
  });
  window.addEventListener("pageshow", function () { sent = false; });
  function reveal() {
    document.querySelectorAll(".hazy").forEach(function (el) { el.classList.add("shown"); });
    document.querySelectorAll("[aria-hidden]").forEach(function (el) { el.removeAttribute("aria-hidden"); });
    var note = document.getElementById("veil-note");
    if (note) { note.remove(); }
  }
  var link = document.getElementById("reveal");
  if (link) {
    link.addEventListener("click", function (event) { event.preventDefault(); reveal(); });
  }
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape" && busy(document.activeElement)) { document.activeElement.blur(); return; }
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || busy(event.target)) { return; }
    var target = Array.from(document.querySelectorAll("[data-key]")).find(function (el) {
      return el.dataset.key === event.key;
    });
    if (!target) { return; }
    event.preventDefault();
    if (busy(target)) { target.focus(); return; }
    target.click();
    if (target.tagName === "SUMMARY" && target.parentElement.open) {
      var field = target.parentElement.querySelector("select, textarea");
      if (field) { field.focus(); }
    }
  });
})();

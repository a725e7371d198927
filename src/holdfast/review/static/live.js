// Replaces the live part of a page with what the server sends; the page works without this file.
"use strict";
(function () {
  var live = document.getElementById("live");
  var state = document.getElementById("live-state");
  if (!live || !window.EventSource) { return; }
  var events = new EventSource(live.dataset.events);
  events.onmessage = function (event) {
    live.innerHTML = event.data; // rendered and escaped by this server
    state.textContent = "live, " + new Date().toLocaleTimeString();
  };
  events.addEventListener("away", function () { state.textContent = "the store is away; these are old numbers"; });
  events.onerror = function () { state.textContent = "connection lost; trying again"; };
})();

// Harmful text stays veiled until it is asked for; tables filter as one types; what scrolls takes the focus.
document.querySelectorAll(".veil").forEach(function (e) {
  e.tabIndex = 0; e.setAttribute("role", "button"); e.setAttribute("aria-label", "hidden text, activate to show");
  function toggle() { var open = e.classList.toggle("open"); if (open) e.removeAttribute("aria-label"); }
  e.addEventListener("click", toggle);
  e.addEventListener("keydown", function (k) { if (k.key === "Enter" || k.key === " ") { k.preventDefault(); toggle(); } });
});
document.querySelectorAll("input[data-filter]").forEach(function (input) {
  var rows = document.querySelectorAll(input.dataset.filter);
  input.addEventListener("input", function () {
    var q = input.value.toLowerCase();
    rows.forEach(function (r) { r.hidden = q !== "" && r.textContent.toLowerCase().indexOf(q) < 0; });
  });
});
function reach() {
  document.querySelectorAll(".scroll, figure, pre:not(.veil)").forEach(function (e) {
    var scrolls = e.scrollWidth > e.clientWidth || e.scrollHeight > e.clientHeight;
    if (scrolls) { e.tabIndex = 0; } else { e.removeAttribute("tabindex"); }
  });
}
reach();
window.addEventListener("resize", reach);
document.addEventListener("toggle", reach, true);

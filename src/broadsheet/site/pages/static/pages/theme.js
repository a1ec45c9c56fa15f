// Before the first paint: the reader's choice of light or dark, and the word that scripts run.
(function () {
  var root = document.documentElement, kept = null;
  try { kept = localStorage.getItem("theme"); } catch (e) { /* storage may be forbidden */ }
  if (kept === "light" || kept === "dark") root.setAttribute("data-theme", kept);
  root.classList.add("js");
})();

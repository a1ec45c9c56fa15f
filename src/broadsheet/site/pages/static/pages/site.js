// What pages do beyond links and forms: the theme switch, copy buttons, a claim opened by its address, tooltips,
// the progress of a running claim.
(function () {
  "use strict";
  var root = document.documentElement;
  var system = matchMedia("(prefers-color-scheme: dark)");

  function isDark() {
    var chosen = root.getAttribute("data-theme");
    return chosen ? chosen === "dark" : system.matches;
  }

  function showTheme() {
    var dark = isDark(), chosen = root.hasAttribute("data-theme");
    document.querySelectorAll(".dark-source").forEach(function (source) {
      source.media = chosen ? (dark ? "screen" : "not all") : "screen and (prefers-color-scheme: dark)";
    });
    var button = document.querySelector(".theme");
    if (button) {
      button.hidden = false;
      button.setAttribute("aria-pressed", String(dark));
    }
  }

  function copyButtons() {
    document.querySelectorAll(".code").forEach(function (box) {
      if (!navigator.clipboard || box.querySelector(".copy")) return;
      var button = document.createElement("button");
      button.type = "button";
      button.className = "copy";
      button.textContent = "Copy";
      var label = box.querySelector("pre").getAttribute("aria-label");
      if (label) button.setAttribute("aria-label", "Copy: " + label);
      button.addEventListener("click", function () {
        navigator.clipboard.writeText(box.querySelector("code").textContent).then(
          function () { button.textContent = "Copied"; },
          function () { button.textContent = "Select it and copy by hand"; }
        );
        setTimeout(function () { button.textContent = "Copy"; }, 2000);
      });
      box.append(button);
    });
  }

  function openTarget() {
    var id = decodeURIComponent(location.hash.slice(1));
    var target = id && document.getElementById(id);
    if (target && target.tagName === "DETAILS") {
      target.open = true;
      target.scrollIntoView();
    }
  }

  // Where a claim is being measured, its line is read again until it is done; then the page shows what came of it.
  function follow() {
    if (!document.querySelector("[data-follow]")) return;
    setTimeout(function () {
      fetch(location.href).then(function (answer) { return answer.text(); }).then(function (text) {
        var fresh = new DOMParser().parseFromString(text, "text/html"), done = false;
        document.querySelectorAll("[data-follow]").forEach(function (line) {
          var next = fresh.querySelector('[data-follow="' + CSS.escape(line.dataset.follow) + '"]');
          if (next) line.replaceWith(next); else done = true;
        });
        if (done) location.reload(); else follow();
      }, follow);
    }, 3000);
  }

  showTheme();
  copyButtons();
  openTarget();
  follow();
  system.addEventListener("change", showTheme);
  addEventListener("hashchange", openTarget);

  document.addEventListener("click", function (event) {
    if (!event.target.closest(".theme")) return;
    var next = isDark() ? "light" : "dark";
    root.setAttribute("data-theme", next);
    try { localStorage.setItem("theme", next); } catch (e) { /* remembered for this page only */ }
    showTheme();
  });

  // A tooltip can be sent away without moving pointer or focus.
  document.addEventListener("keydown", function (event) {
    if (event.key === "Escape" && document.activeElement.matches(".term")) document.activeElement.blur();
  });

  // Browsers without ::details-content print only what is open.
  addEventListener("beforeprint", function () {
    document.querySelectorAll(".cite").forEach(function (fold) { fold.open = true; });
  });
})();

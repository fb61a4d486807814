"use strict";
// Dark or light, before anything is painted: hence neither a module nor deferred.
{
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const apply = () => {
    const chosen = localStorage.getItem("theme");
    const isChosen = chosen === "dark" || chosen === "light";
    document.documentElement.dataset.theme = isChosen ? chosen : dark.matches ? "dark" : "light";
  };
  dark.addEventListener("change", apply);
  addEventListener("themechange", apply);
  apply();
}

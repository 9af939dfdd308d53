// Runs before the first paint, so that a chosen theme never flashes the other one.
(() => {
  const root = document.documentElement;
  const theme = localStorage.getItem("bellwether.theme");
  if (theme === "dark" || theme === "light") root.dataset.theme = theme;
  root.dataset.density = localStorage.getItem("bellwether.density") === "compact" ? "compact" : "normal";
})();

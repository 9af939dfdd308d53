/** What the reader chose for this browser: theme and density. */

export type Theme = "auto" | "dark" | "light";
export type Density = "normal" | "compact";

class Prefs {
  theme = $state<Theme>("auto");
  density = $state<Density>("normal");
  /** Changes whenever colours do; charts redraw on it. */
  paint = $state(0);

  constructor() {
    const theme = localStorage.getItem("bellwether.theme");
    if (theme === "dark" || theme === "light") this.theme = theme;
    if (localStorage.getItem("bellwether.density") === "compact") this.density = "compact";
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (this.paint += 1));
  }

  setTheme(theme: Theme): void {
    this.theme = theme;
    localStorage.setItem("bellwether.theme", theme);
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    this.paint += 1;
  }

  setDensity(density: Density): void {
    this.density = density;
    localStorage.setItem("bellwether.density", density);
    document.documentElement.dataset.density = density;
  }
}

export const prefs = new Prefs();

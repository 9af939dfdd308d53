import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig, type PluginOption, type UserConfig } from "vite";

const server = process.env.BELLWETHER_URL ?? "http://127.0.0.1:4300";

/** The stand-in server of `dev/` is loaded on request only, so that no build ever contains it. */
async function mock(): Promise<PluginOption[]> {
  if (!process.env.BELLWETHER_MOCK) return [];
  const { mockServer } = await import("./dev/plugin.ts");
  return [mockServer()];
}

export default defineConfig(async (): Promise<UserConfig> => ({
  plugins: [svelte({ configFile: false }), ...(await mock())],
  server: {
    port: 4310,
    proxy: process.env.BELLWETHER_MOCK ? {} : { "/api": { target: server, ws: true, changeOrigin: true } },
  },
  build: {
    target: "es2022",
    // Every browser since mid-2024 knows light-dark(), which the themes are written in.
    cssTarget: ["chrome123", "firefox120", "safari17.5"],
    // The content security policy allows no data: addresses, so every asset is a file.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
}));

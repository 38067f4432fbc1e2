const src = ["seconds","waitSeconds","delaySeconds","a1","a2","a3","a4","a5","a6","a7","a8"];
type F = [string, number];
const fills: F[] = src.map((s, i) => [s, i]);
const vals = src.map((_, i) => 1e10 + i + 0.5);
function keyed(i: number) { const t: any = { device: "vda" }; for (const [m, p] of fills) { t[m] = vals[p]! / 1e9; } return t; }
const template: any = { device: "" }; for (const s of src) template[s] = 0.5;
function cloned(i: number) { const t: any = { ...template }; t.device = "vda"; for (const [m, p] of fills) { t[m] = vals[p]! / 1e9; } return t; }
const make = new Function("v", "d", `return { device: d, ${src.map((s, i) => `${s}: v(${i})/1e9`).join(",")} }`) as any;
function compiled(i: number) { return make((k: number) => vals[k], "vda"); }
const sets: ((t: any, v: number) => void)[] = [(t, v) => { t.seconds = v; }, (t, v) => { t.waitSeconds = v; }, (t, v) => { t.delaySeconds = v; }, (t, v) => { t.a1 = v; }, (t, v) => { t.a2 = v; }, (t, v) => { t.a3 = v; }, (t, v) => { t.a4 = v; }, (t, v) => { t.a5 = v; }, (t, v) => { t.a6 = v; }, (t, v) => { t.a7 = v; }, (t, v) => { t.a8 = v; }];
function setters(i: number) { const t: any = { device: "vda" }; for (let k = 0; k < sets.length; k++) sets[k]!(t, vals[k]! / 1e9); return t; }
// pollute keyed
for (const n of ["x","y","z","q"]) { const t: any = {}; t[n] = 1; }
for (const [name, f] of Object.entries({ keyed, cloned, compiled, setters })) {
  const out: any[] = []; for (let r = 0; r < 5; r++) { out.length = 0; for (let i = 0; i < 20000; i++) out.push(f(i)); }
  const s = process.cpuUsage(); for (let r = 0; r < 10; r++) { out.length = 0; for (let i = 0; i < 20000; i++) out.push(f(i)); } const e = process.cpuUsage(s);
  console.log(name, ((e.user + e.system) / 200000 / 11 * 1000).toFixed(1), "ns per field");
}

import { connect } from "node:net";
import { join } from "node:path";
import { Outside } from "./attack-outside.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

const ANSWER_WITHIN_MS = 20_000;
const methods = [
  "POST",
  "PUT",
  "DELETE",
  "PATCH",
  "OPTIONS",
  "TRACE",
  "CONNECT",
  "PROPFIND",
  "PRI",
  "get",
  "NOTHING",
];
const paths = ["/", "/metrics", "/healthz", "/readyz", "/page/stream", "/socle.v1.VmService/DeleteVm", "*"];

/** The only listener without authentication: it changes nothing and shows only its own pages. */
export async function metrics(stage: Stage): Promise<Theme> {
  const { host, run } = stage;
  const [address = "", port = ""] = host.agent.metricsAddress.split(":");
  const outside = run.keep(await Outside.make(join(host.libvirtd.directory, "below")));
  const { secret } = outside;
  const tries: Try[] = [];
  const add = (what: string, lines: readonly string[], body = ""): void => {
    const words = `${lines.join("\r\n")}\r\n\r\n${body}`;
    tries.push({ what, attack: async () => judge(await exchange(address, Number(port), words)) });
  };
  const own = ["Host: 127.0.0.1", "Connection: close"];
  for (const method of methods)
    for (const path of paths)
      add(`${method} ${path}`, [`${method} ${path} HTTP/1.1`, ...own, "Content-Length: 2"], "{}");
  for (const header of [
    "X-HTTP-Method-Override: DELETE",
    "Upgrade: h2c",
    "Upgrade: websocket",
    "Expect: 100-continue",
  ])
    add(`a PUT with ${header}`, ["PUT /metrics HTTP/1.1", ...own, header, "Content-Length: 2"], "{}");
  for (const path of [
    secret,
    `/..${secret}`,
    `/../../../../../../..${secret}`,
    `/page/..${secret}`,
    `/page/../../../../../../../..${secret}`,
    `/page/..%2f..%2f..%2f..%2f..%2f..${secret}`,
    `/page/%2e%2e/%2e%2e/%2e%2e/%2e%2e${secret}`,
    `/page/..%5c..%5c..%5cetc%5cpasswd`,
    `/page/....//....//....//etc/passwd`,
    `/page/%00${secret}`,
    `/page//${secret}`,
    `/page/./${secret}`,
    `/page/main.js/../../../package.json`,
    `/page/../main.ts`,
    `/page/tsconfig.json`,
    `/page/__proto__`,
    `/page/constructor`,
    `/page/history?vm=../../etc/passwd`,
    `/page/history?vm=${"x,".repeat(3000)}`,
    `//127.0.0.1:1/agent.yaml`,
    `file://${secret}`,
    `http://127.0.0.1:1/page/..${secret}`,
    `/metrics/../page/..${secret}`,
    `/agent.yaml`,
    `/.git/config`,
    `/debug/pprof`,
    `/${"a/".repeat(3500)}`,
    `/page/${"%".repeat(100)}`,
    `/page/\u0000`,
    `/page/\u00ff\u00fe`,
  ])
    add(`GET ${path.slice(0, 60)}`, [`GET ${path} HTTP/1.1`, ...own]);
  for (const name of [
    "evil.example",
    "evil.example:80",
    "127.0.0.1.evil.example",
    "localhost.evil.example",
    "",
    "a b",
    "[::1",
    "\u0000",
  ])
    for (const path of ["/", "/page/stream"])
      add(`${path} under the name ${name}`, [`GET ${path} HTTP/1.1`, `Host: ${name}`, "Connection: close"]);
  for (const mode of ["cors", "no-cors", "websocket"])
    add(`the page's stream for another site, ${mode}`, [
      "GET /page/stream HTTP/1.1",
      ...own,
      "Sec-Fetch-Site: cross-site",
      `Sec-Fetch-Mode: ${mode}`,
    ]);
  const smuggled = "DELETE /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
  for (const [what, header] of [
    ["two lengths", "Content-Length: 5\r\nContent-Length: 50"],
    ["a length and chunks", "Content-Length: 5\r\nTransfer-Encoding: chunked"],
    ["chunks of another kind", "Transfer-Encoding: xchunked"],
    ["chunks, hidden", "Transfer-Encoding : chunked"],
    ["an invalid length", "Content-Length: -1"],
    ["a length with a sign", "Content-Length: +5"],
    ["a line that is folded", "X: a\r\n b: c\r\nContent-Length: x"],
    ["a lone line feed", "X: a\nContent-Length: 5, 6"],
  ] as const)
    add(`a request behind another, by ${what}`, ["POST /metrics HTTP/1.1", ...own, header], smuggled);
  for (const [what, lines] of [
    ["a header of 1 MiB", ["GET /metrics HTTP/1.1", ...own, `X: ${"x".repeat(2 ** 20)}`]],
    [
      "10,000 headers",
      ["GET /metrics HTTP/1.1", ...own, ...Array.from({ length: 10_000 }, (_, at) => `X-${at}: y`)],
    ],
    ["a line of 1 MiB", [`GET /${"x".repeat(2 ** 20)} HTTP/1.1`, ...own]],
    ["HTTP/9.9", ["GET /metrics HTTP/9.9", ...own]],
    ["no HTTP", ["\u0016\u0003\u0001\u0002\u0000"]],
    ["HTTP/2", ["PRI * HTTP/2.0", "", "SM"]],
  ] as const)
    add(what, lines);
  const check = async (): Promise<void> => {
    run.demand((await outside.touched()) === undefined, "metrics: something outside was touched");
  };
  return { name: "metrics", tries, check };
}

/** A refusal has an error status or no reply; a success shows only the listener's own pages. */
function judge(answer: string): Outcome {
  const statuses = [...answer.matchAll(/^HTTP\/1\.[01] (\d{3})/gm)].map(([, code]) => Number(code));
  if (answer.includes("socle-attack: the secret") || answer.includes("root:x:0:0"))
    return { letThrough: "the reply shows a file" };
  // A client that waits for "100 Continue" gets it; the request is then refused.
  if (statuses.some((code) => code < 400 && code !== 100))
    return { letThrough: `answered ${statuses.join(", ")}` };
  if (statuses.some((code) => code >= 500)) throw new Error(`it ends in ${statuses.join(", ")}`);
  return "refused";
}

/** All bytes until the peer closes the connection. */
function exchange(host: string, port: number, words: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = connect({ host, port });
    socket.setTimeout(ANSWER_WITHIN_MS, () => socket.destroy(new Error("there is no reply")));
    socket.on("data", (bytes: Buffer) => (received += bytes.toString("latin1")));
    socket.once("close", () => resolve(received));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code === "ECONNRESET" || error.code === "EPIPE") resolve(received);
      else reject(error);
    });
    socket.write(Buffer.from(words, "latin1"));
  });
}

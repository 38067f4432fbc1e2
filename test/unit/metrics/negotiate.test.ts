import assert from "node:assert/strict";
import test from "node:test";
import { acceptsGzip } from "../../../agent/http/negotiation.ts";
import { negotiateFormat } from "../../../agent/metrics/negotiate.ts";

const accepts: readonly (readonly [string, string | undefined, "text" | "openmetrics"])[] = [
  ["nothing", undefined, "text"],
  ["anything", "*/*", "text"],
  [
    "Prometheus 2",
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "openmetrics",
  ],
  [
    "Prometheus 3",
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.6,*/*;q=0.2",
    "text",
  ],
  ["a browser's types", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8", "text"],
  ["only another version of OpenMetrics", "application/openmetrics-text;version=0.0.1", "text"],
  ["OpenMetrics of any version", "application/openmetrics-text", "openmetrics"],
  ["OpenMetrics and no text", "text/plain;q=0, application/openmetrics-text;q=0.1", "openmetrics"],
  ["quoted parameters and white space", 'application/openmetrics-text; version="1.0.0"', "openmetrics"],
  ["anything but OpenMetrics", "application/openmetrics-text;q=0, */*", "text"],
  ["nonsense", ";;q=,,=", "text"],
];
for (const [types, accept, format] of accepts) {
  test(`a scraper that accepts ${types} gets ${format}`, () => assert.equal(negotiateFormat(accept), format));
}

test("gzip is used where it is accepted", () => {
  for (const header of ["gzip", "deflate, gzip;q=0.5", "*", "GZIP"]) assert.ok(acceptsGzip(header), header);
  for (const header of [undefined, "", "zstd", "gzip;q=0", "*;q=0", "gzip;q=0, *"]) {
    assert.ok(!acceptsGzip(header), String(header));
  }
});

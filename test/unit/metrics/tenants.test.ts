import assert from "node:assert/strict";
import test from "node:test";
import { exposition, text } from "../../support/metrics/scraping.ts";

test("a bounded number of tenants is shown, those with the most VMs", async () => {
  const tenants = Array.from({ length: 1000 }, (_, index) => ({
    tenant: `t${index}`,
    use: { vms: index, vcpus: 1, memoryBytes: 1, diskBytes: 0 },
  }));
  const scraped = await text(exposition({ tenants: () => tenants }), { collect: ["tenants"] });
  const shown = scraped.match(/^socle_tenant_vms\{.*$/gm) ?? [];
  assert.equal(shown.length, 256);
  assert.equal(shown[0], 'socle_tenant_vms{tenant="t999"} 999');
  assert.match(scraped, /^socle_tenants 1000$/m);
});

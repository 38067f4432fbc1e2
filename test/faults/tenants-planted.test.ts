import { findsPlanted } from "./planted-run.ts";
import { foreign, playForeign } from "./tenants-foreign.ts";
import { tenantsBugs } from "./tenants-bugs.ts";

findsPlanted("tenants", foreign.length, tenantsBugs, playForeign);

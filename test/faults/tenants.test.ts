import { shortRun } from "./short-run.ts";

shortRun("tenants", 101);

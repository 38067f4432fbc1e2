import type { Command } from "../session.ts";

/** The version of this program; and of the agent, unless `--client` is given or it is down. */
export const version: Command = async (session, _args, options) => {
  const agentVersion = options.client === true ? undefined : await askAgent();
  const versions = { socle: session.io.version, node: process.versions.node, agent: agentVersion ?? null };
  if (session.json) session.printJson(versions);
  else {
    session.print(`socle ${versions.socle} (Node ${versions.node})\n`);
    if (agentVersion !== undefined) session.print(`agent ${agentVersion}\n`);
  }
  return undefined;

  async function askAgent(): Promise<string | undefined> {
    try {
      const agent = await session.agent();
      const host = await agent.ask(agent.contract.host.GetHost, {});
      return host.identity?.agentVersion;
    } catch {
      return undefined;
    }
  }
};

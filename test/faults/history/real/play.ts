// Plays real histories alone, and checks each: interleave's real stage, for people. As root, with libvirt installed.
//
//   play.ts --seed FIRST --count N        a history that breaks a rule is kept in .cache/histories
import { asked, campaign } from "../../campaign.ts";
import { playReal } from "../../interleave-real.ts";

await campaign({ name: "interleave-real", count: 1000 }, async (run) => {
  const firstSeed = asked("--seed") ?? 1;
  return { seed: firstSeed, ...(await playReal(run, { firstSeed, count: run.count })) };
});

import { parseArgs } from 'node:util';
import type { RegisteredModel } from '../src/governance/check-model.ts';
import { manifestToDevice } from '../src/governance/manifest-to-device.ts';
import {
  judgeRelease,
  MODEL_STATES,
  type ModelRelease,
  type ModelState,
} from '../src/governance/model-release.ts';
import { readCard } from '../src/governance/read-card.ts';
import { runGoldenCases } from './model-golden.ts';
import { findModel, type ModelKit, withKit } from './model-kit.ts';
import { withDatabase } from './with-database.ts';

/**
 * `-- release <model> <state> --by <who>`: changes the state of a model version, and keeps who, when, why and what was shown for it. To go
 * live its golden cases are run now, on this machine. A running server takes the new state up within seconds.
 */
export async function releaseModel(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    options: {
      by: { type: 'string' },
      reason: { type: 'string' },
      'without-golden': { type: 'boolean' },
    },
    allowPositionals: true,
  });
  const [name, wanted] = positionals;
  const state = MODEL_STATES.find((one) => one === wanted);
  const by = values.by?.trim();
  if (name === undefined || state === undefined || !by) {
    console.error(`name a model, one of ${MODEL_STATES.join(', ')}, and who releases it: --by "<name>"`);
    return 2;
  }
  return withKit(async (kit) => {
    const model = await findModel(name, kit.settings);
    const verdict = await judge(model, state, values['without-golden'] ?? false, kit);
    if ('why' in verdict) {
      console.log(`NOT RELEASED  ${model.ref}: ${verdict.why}`);
      return 1;
    }
    const { sha256 } = model.manifest.file;
    const reason = values.reason ?? '';
    const release = { model: model.ref, state, at: new Date(), by, reason, sha256, proof: verdict.proof };
    await keep(model, release, kit);
    console.log(`${state.toUpperCase()}  ${model.ref}, by ${by}: ${verdict.proof}`);
    return 0;
  });
}

async function judge(model: RegisteredModel, state: ModelState, without: boolean, kit: ModelKit) {
  if (state !== 'live') return judgeRelease(state, null);
  return judgeRelease(state, { ...(await runGoldenCases(model, kit)), without });
}

/** The row and the Device that shows it over FHIR, in one transaction. */
async function keep(model: RegisteredModel, release: ModelRelease, { settings }: ModelKit): Promise<void> {
  const { state } = release;
  const device = manifestToDevice(model.manifest, { state, ...(await readCard(model)) });
  await withDatabase(settings, ({ database, store, releases }) =>
    database.transaction(async (tx) => {
      await releases.add(tx, release);
      const resource = device as typeof device & { id: string };
      await store.write(tx, [{ kind: 'update', resource, unchanged: 'skip' }]);
    }),
  );
}

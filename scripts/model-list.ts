import { forbidTelemetry } from '../src/config/forbid-telemetry.ts';
import { readSettings } from '../src/config/settings.ts';
import type { RegisteredModel } from '../src/governance/check-model.ts';
import { fitsInWords } from '../src/governance/fits-in-words.ts';
import type { ModelRelease, ModelState } from '../src/governance/model-release.ts';
import { readRegister } from './model-kit.ts';
import { withDatabase } from './with-database.ts';

/** `-- list`: every model and version that the server would find, what state it is in, and what it is. */
export async function listModels(): Promise<number> {
  forbidTelemetry();
  const settings = readSettings();
  const register = await readRegister(settings);
  const releases = await withDatabase(settings, ({ releases }) => releases.current());
  for (const model of register.list())
    printModel(model, releases.get(model.ref), settings.PRELIM_MODEL_STATE);
  for (const { id, version, get } of register.absent())
    console.log(`ABSENT    ${id}@${version}\n  the file is not here; to get it: ${get}\n`);
  for (const { folder, id, version, faults } of register.refusals()) {
    console.log(`REFUSED   ${id ? `${id}@${version}` : folder}`);
    for (const { at, text } of faults) console.log(`  ${at ?? ''}  ${text}`);
  }
  return 0;
}

function printModel(model: RegisteredModel, release: ModelRelease | undefined, first: ModelState): void {
  const { ref, manifest, folder } = model;
  const { running, file, device, claims = [], golden = [], findings } = manifest;
  const since = release
    ? `since ${release.at.toISOString()} by ${release.by} (${release.proof})`
    : 'nobody has released it';
  console.log(`${(release?.state ?? first).toUpperCase().padEnd(9)} ${ref}  ${manifest.title}`);
  console.log(`  ${since}`);
  console.log(`  SHA-256 ${file.sha256}, device UID ${device.uid}, licence ${file.licence}`);
  console.log(`  folder ${folder}${manifest.card ? `, card ${manifest.card}` : ', no card'}`);
  console.log(
    `  runs ${running.engine?.kind === 'open-inference-protocol' ? `at ${running.engine.url}` : 'here'}, ${golden.length} golden cases`,
  );
  console.log(`  finds ${findings.map(({ label }) => label).join(', ')}`);
  console.log(`  fits ${fitsInWords(manifest).join('; ')}`);
  for (const claim of claims) console.log(`  claimed: ${claim}`);
  console.log('');
}

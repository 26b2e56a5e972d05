import { resolve } from 'node:path';
import { checkModel, type RegisteredModel } from '../src/governance/check-model.ts';
import { findModelFolders } from '../src/governance/find-model-folders.ts';
import { inspectAndRelease } from '../src/governance/inspect-model.ts';
import { CODE_SYSTEMS } from '../src/kernel/code-systems.ts';
import { ConceptMaps } from '../src/terminology/concept-maps.ts';

/**
 * `node scripts/check-model.ts <folder>`: the verdict on one model, or on each model under a folder, with all faults at once.
 * Ends with 0 when every model may run, 1 when one may not, 2 when there is none.
 */
const folder = process.argv[2];
if (folder === undefined) {
  console.error('usage: node scripts/check-model.ts <folder with a manifest.yaml, or with models>');
  process.exit(2);
}
const folders = await findModelFolders(resolve(folder));
if (folders === null || folders.length === 0) {
  console.error('there is no manifest in or under this folder');
  process.exit(2);
}
let refused = 0;
for (const path of folders) {
  const model = await checkModel(path, inspectAndRelease);
  if ('faults' in model) {
    refused++;
    console.log(`REFUSED  ${model.id ?? path}${model.version ? `@${model.version}` : ''}`);
    for (const { at, text } of model.faults) console.log(`  ${at ?? ''}  ${text}`);
  } else printModel(model);
}
process.exit(refused > 0 ? 1 : 0);

function printModel({ ref, manifest }: RegisteredModel): void {
  const maps = ConceptMaps.shipped();
  console.log(`MAY RUN  ${ref}  ${manifest.title}`);
  for (const { key, label } of manifest.findings) {
    const codes = maps.codesOf(CODE_SYSTEMS.finding, key).filter(({ code }) => code !== null);
    const text = codes.map(({ system, code, match }) => `${system}|${code} (${match})`).join(', ');
    console.log(`  ${key} "${label}": ${text || 'no code in any system: reports carry the text only'}`);
  }
}

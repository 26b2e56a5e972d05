import { parseArgs } from 'node:util';
import { GROUPS } from './all.ts';
import { FhirServer } from './fhir-server.ts';

const USE = `npm run conformance -- --base http://127.0.0.1:8080/fhir [--token <bearer>] [--only <part of a group's name>]

It stores resources on that server and deletes few of them: use a server made for tests.`;

/** Runs all checks against a server that runs already and says how each went. Ends with 1 when one failed. */
const { values } = parseArgs({
  options: { base: { type: 'string' }, token: { type: 'string' }, only: { type: 'string' } },
});
if (!values.base) {
  process.stderr.write(`${USE}\n`);
  process.exit(2);
}
const server = new FhirServer(values.base, values.token ?? null);
let passed = 0;
const failures: string[] = [];
for (const group of GROUPS.filter(({ name }) => name.includes(values.only ?? ''))) {
  process.stdout.write(`\n${group.name} (https://hl7.org/fhir/R4/${group.clause})\n`);
  for (const { title, run } of group.checks) {
    try {
      await run(server);
      passed += 1;
      process.stdout.write(`  ok    ${title}\n`);
    } catch (error) {
      failures.push(`${group.name}: ${title}`);
      process.stdout.write(`  FAIL  ${title}\n        ${(error as Error).message.split('\n')[0]}\n`);
    }
  }
}
process.stdout.write(`\n${passed} passed, ${failures.length} failed\n`);
process.exit(failures.length > 0 ? 1 : 0);

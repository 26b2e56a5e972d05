import { parseArgs } from 'node:util';
import { benchAccess } from './access.ts';
import { benchAudit } from './audit.ts';
import { benchAuditGrowth } from './audit-growth.ts';
import { benchFhir } from './fhir.ts';
import { benchGrowth } from './fhir-growth.ts';
import { benchHl7 } from './hl7.ts';
import { benchHl7Faults } from './hl7-faults.ts';
import { benchHl7Out } from './hl7-out.ts';
import { benchHl7Soak } from './hl7-soak.ts';
import { benchImport } from './import.ts';
import { benchPipeline } from './pipeline.ts';
import { benchPixels } from './pixels.ts';
import { benchRetrieval } from './retrieval.ts';
import { benchSubscriptions } from './subscriptions.ts';
import { benchTerminology } from './terminology.ts';

/** Each takes the arguments after its name. */
const BENCHES: Record<string, (args: readonly string[]) => Promise<void>> = {
  pipeline: (args) => {
    const { values } = parseArgs({ args: [...args], options: { runs: { type: 'string', default: '30' } } });
    return benchPipeline(Number(values.runs));
  },
  audit: benchAudit,
  'audit-growth': benchAuditGrowth,
  access: benchAccess,
  fhir: benchFhir,
  growth: benchGrowth,
  hl7: benchHl7,
  import: benchImport,
  'hl7-faults': benchHl7Faults,
  'hl7-out': benchHl7Out,
  'hl7-soak': benchHl7Soak,
  pixels: benchPixels,
  retrieval: benchRetrieval,
  terminology: benchTerminology,
  subscriptions: (args) => {
    const { values } = parseArgs({ args: [...args], options: { runs: { type: 'string', default: '20' } } });
    return benchSubscriptions(Number(values.runs));
  },
};

/** What people live from: a result on its way, the record read and written, messages in. A table each, in some minutes. */
const MAIN = ['pipeline', 'fhir', 'hl7'];

const [name, ...args] = process.argv.slice(2);
if (name !== undefined && !BENCHES[name]) {
  process.stderr.write(
    `npm run bench -- [${Object.keys(BENCHES).join('|')}] [options]\nWithout a name: ${MAIN.join(', ')}.\n`,
  );
  process.exit(2);
}
for (const one of name === undefined ? MAIN : [name]) await BENCHES[one]?.(args);
process.exit(0);

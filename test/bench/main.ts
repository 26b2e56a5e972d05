import { parseArgs } from 'node:util';
import { benchPipeline } from './pipeline.ts';

const BENCHES: Record<string, (runs: number) => Promise<void>> = { pipeline: benchPipeline };

const { values, positionals } = parseArgs({
  options: { runs: { type: 'string', default: '30' } },
  allowPositionals: true,
});
const bench = BENCHES[positionals[0] ?? ''];
if (!bench) {
  process.stderr.write(`npm run bench -- <${Object.keys(BENCHES).join('|')}> [--runs <n>]\n`);
  process.exit(2);
}
await bench(Number(values.runs));
process.exit(0);

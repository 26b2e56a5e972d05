import type { RowFinding, WorklistRow } from '../worklist-row.ts';
import { FindingCourse } from './finding-course.tsx';
import { absent, sayBasis, sayResult, telling } from './say-row.ts';

/** All findings of a study: first what is there, large; then what was looked for and is absent. */
export function FindingList({ row }: { row: WorklistRow }) {
  const shown = telling(row);
  const rest = absent(row);
  if (row.findings.length === 0) return null;
  return (
    <section aria-labelledby="findings-title">
      <h3 id="findings-title">Findings</h3>
      {shown.length === 0 && <p class="finding-none">Nothing above its threshold.</p>}
      <ul class="findings">
        {shown.map((finding) => (
          <FindingItem key={finding.id} finding={finding} since={row.exam.since} />
        ))}
      </ul>
      {rest.length > 0 && (
        <>
          <h4>Looked for and absent</h4>
          <ul class="findings findings-absent">
            {rest.map((finding) => (
              <FindingItem key={finding.id} finding={finding} since={row.exam.since} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function FindingItem({ finding, since }: { finding: RowFinding; since: string | null }) {
  const basis = sayBasis(finding);
  const accent = finding.presence === 'present' || finding.abnormal;
  return (
    <li class={`finding ${accent ? 'finding-accent' : ''}`}>
      <p class="finding-head">
        <bdi class="finding-label">{finding.label}</bdi>{' '}
        <span class="finding-result">{sayResult(finding)}</span>
      </p>
      <p class="finding-basis">
        {basis !== null && <span class="pair">{basis}</span>}
        {finding.actionable !== null && (
          <span class="pair">ACR actionable category {finding.actionable}</span>
        )}
      </p>
      <FindingCourse finding={finding} since={since} />
      <p class="finding-codes">
        {finding.codes.map((code) => (
          <span class="pair" key={code.system}>
            {code.system}{' '}
            {code.code === null ? (
              code.match
            ) : (
              <>
                <code>{code.code}</code> <bdi>{code.display}</bdi>
                {code.match !== 'exact' && ` (${code.match})`}
              </>
            )}
          </span>
        ))}
      </p>
    </li>
  );
}

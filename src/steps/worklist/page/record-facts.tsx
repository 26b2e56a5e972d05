import { useState } from 'preact/hooks';
import type { SignedOut } from '../../../browser/ask-server.ts';
import type { TabSession } from '../../../browser/tab-session.ts';
import type { WorklistRow } from '../worklist-row.ts';
import { RecordDialog } from './record-dialog.tsx';
import { sayTime } from './say-row.ts';

interface RecordFactsProps {
  readonly row: WorklistRow;
  readonly session: TabSession;
  readonly onSignedOut: (why: SignedOut) => void;
}

/** Where the result comes from: order, model, times, and the FHIR resources behind the row. */
export function RecordFacts({ row, session, onSignedOut }: RecordFactsProps) {
  const [shown, setShown] = useState<string | null>(null);
  return (
    <section aria-labelledby="record-title">
      <h3 id="record-title">Record</h3>
      {row.conclusion !== null && <p class="conclusion">{row.conclusion}</p>}
      <dl class="facts">
        <Fact name="Order" value={sayOrder(row)} />
        <Fact
          name="Model"
          value={row.model === null ? 'unknown' : `${row.model.id} version ${row.model.version || 'unknown'}`}
        />
        <Fact name="Study" value={sayTime(row.exam.since)} />
        <Fact name="Requested" value={sayTime(row.requestedAt)} />
        <Fact name="Finished" value={sayTime(row.finishedAt)} />
        <Fact name="Study UID" value={row.exam.studyInstanceUid} />
      </dl>
      <p class="links">
        {resourcesOf(row).map((reference) => (
          <a
            key={reference}
            href={`../fhir/${reference}`}
            onClick={(event) => {
              event.preventDefault();
              setShown(reference);
            }}
          >
            FHIR {reference.split('/')[0]}
          </a>
        ))}
      </p>
      {shown !== null && (
        <RecordDialog
          reference={shown}
          session={session}
          close={() => setShown(null)}
          onSignedOut={onSignedOut}
        />
      )}
    </section>
  );
}

function Fact({ name, value }: { name: string; value: string | null }) {
  if (value === null) return null;
  return (
    <>
      <dt>{name}</dt>
      <dd>
        <bdi>{value}</bdi>
      </dd>
    </>
  );
}

function sayOrder(row: WorklistRow): string {
  if (!row.order.matched) return 'unmatched';
  const accession =
    row.order.accession === null ? 'without accession number' : `accession ${row.order.accession}`;
  return `matched, ${accession}${row.order.priority === null ? '' : `, ${row.order.priority}`}`;
}

function resourcesOf(row: WorklistRow): string[] {
  const reference = (type: string, id: string | null | undefined) =>
    id ? [`${type}/${encodeURIComponent(id)}`] : [];
  return [
    ...reference('DiagnosticReport', row.report?.id),
    ...reference('Task', row.id),
    ...reference('ImagingStudy', row.exam.id),
    ...reference('ServiceRequest', row.order.id),
  ];
}

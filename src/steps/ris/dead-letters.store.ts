import type { Statement, Transaction } from '../../database/database.ts';

/**
 * Takes away the dead jobs of a message that a person has dealt with otherwise: they would stand in `GET /jobs/dead` and in the readiness check for ever. That of
 * a message that could not be made names its report and receiver, the others the message.
 */
export async function dropDeadJobs(tx: Transaction, messageId: string): Promise<void> {
  await tx.run(DROP, [messageId, false]);
}

/** A new message has taken the place of a dead letter: nobody needs to look at that one any more. What was sent and answered stays as it is. */
export async function settleDeadLetter(tx: Transaction, messageId: string): Promise<void> {
  await dropDeadJobs(tx, messageId);
  await tx.run(SETTLE, [messageId]);
}

/** The new message is a dead letter itself: its job, which was to rebuild the old one, stays. */
export async function replaceDeadLetter(tx: Transaction, messageId: string): Promise<void> {
  await tx.run(DROP, [messageId, true]);
  await tx.run(SETTLE, [messageId]);
}

const DROP: Statement = {
  name: 'hl7-dead-letter-drop',
  text: `DELETE FROM outbox o USING hl7_outbound m
    WHERE m.id = $1 AND o.state = 'dead' AND (o.payload ->> 'messageId' = m.id::text
      OR m.state IN ('unmade', 'discarded') AND o.queue = 'ris-message' AND o.payload ->> 'diagnosticReportId' = m.report_id
        AND coalesce(o.payload ->> 'destination', m.destination) = m.destination
        AND NOT ($2::boolean AND coalesce(o.payload ->> 'rebuildOf', '') = m.id::text))`,
};
const SETTLE: Statement = {
  name: 'hl7-dead-letter-settle',
  text: `UPDATE hl7_outbound SET state = 'superseded' WHERE id = $1 AND state IN ('rejected', 'given-up', 'dead', 'unmade')`,
};

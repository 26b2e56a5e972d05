import { useRef, useState } from 'preact/hooks';
import { SignedOut } from '../../../browser/ask-server.ts';
import type { Deed } from './act-dialog.tsx';
import { type Api, type ShownWhole, sayFault } from './api.ts';
import { MessageHistory } from './message-history.tsx';
import { MessageParts } from './message-parts.tsx';
import type { ViewProps } from './operator.tsx';
import { isBad, sayBytes, sayTime } from './say.ts';
import { sayReason } from './say-reason.ts';
import { SendOneTo } from './send-to.tsx';
import { Stale } from './stale.tsx';
import { POLL_MS, type Polled, usePolled } from './use-polled.ts';
import { messageLink } from './use-route.ts';

interface MessageViewProps extends ViewProps {
  readonly direction: string;
  readonly id: string;
}

/** One message: what it says, what became of it, and what can be done. */
export function MessageView({ api, onSignedOut, ask, direction, id }: MessageViewProps) {
  const [unmask, setUnmask] = useState(false);
  const { data, fault, refresh } = useMessage(api, onSignedOut, direction, id, unmask);
  if (data === null) {
    return (
      <p class="nothing">
        {fault ?? 'Reading the message'}{' '}
        {fault && unmask && (
          <button type="button" onClick={() => setUnmask(false)}>
            Back to the masked message
          </button>
        )}
      </p>
    );
  }
  return (
    <>
      <Stale fault={fault} />
      <Facts message={data} />
      <div class="buttons">
        {deedsFor(data, api).map((deed) => (
          <button key={deed.confirm} type="button" onClick={() => ask(deed, refresh)}>
            {deed.confirm}
          </button>
        ))}
        <button type="button" aria-pressed={unmask} onClick={() => setUnmask(!unmask)}>
          {unmask ? 'Mask patient data' : 'Show patient data (is logged)'}
        </button>
        {data.tree && <Download {...{ api, onSignedOut, refresh }} message={data} />}
      </div>
      <SendOneTo {...{ api, onSignedOut, ask }} message={data} done={refresh} />
      <Newer message={data} />
      <MessageHistory message={data} />
      {data.droppedAt !== null && (
        <p class="nothing">The bytes were dropped on {sayTime(data.droppedAt)}: their time was over.</p>
      )}
      <MessageParts {...{ api, onSignedOut }} key={String(unmask)} message={data} />
    </>
  );
}

/** The message with the first part of what it says, which is read once: it never changes, and only what becomes of it is looked at again and again. */
function useMessage(
  api: Api,
  onSignedOut: ViewProps['onSignedOut'],
  direction: string,
  id: string,
  unmask: boolean,
): Polled<ShownWhole> {
  const key = `${direction} ${id} ${unmask}`;
  const first = useRef<{ key: string; tree: ShownWhole['tree'] }>({ key: '', tree: null });
  const look = async (signal: AbortSignal) => {
    const known = first.current.key === key ? first.current.tree : null;
    const message = await api.message(direction, id, { unmask, tree: known === null }, signal);
    if (message.droppedAt !== null) return message;
    first.current = { key, tree: known ?? message.tree };
    return { ...message, tree: first.current.tree };
  };
  // Each look at patient data is logged: unmasked, the page looks once.
  return usePolled(key, look, onSignedOut, unmask ? 0 : POLL_MS);
}

interface DownloadProps extends Pick<ViewProps, 'api' | 'onSignedOut'> {
  readonly message: ShownWhole;
  readonly refresh: () => void;
}

/** The bytes as a file: what is too long for the page, or cannot be taken apart, is looked at elsewhere. */
function Download({ api, onSignedOut, message, refresh }: DownloadProps) {
  const [refused, setRefused] = useState<string | null>(null);
  const { direction, id } = message;
  const download = async () => {
    setRefused(null);
    try {
      const url = URL.createObjectURL(await api.raw(direction, id));
      Object.assign(document.createElement('a'), { href: url, download: `${direction}-${id}.hl7` }).click();
      setTimeout(() => URL.revokeObjectURL(url), DOWNLOAD_BEGUN_MS);
      refresh();
    } catch (error) {
      if (error instanceof SignedOut) onSignedOut(error);
      else setRefused(sayFault(error));
    }
  };
  return (
    <>
      <button type="button" onClick={() => void download()}>
        Download (is logged)
      </button>
      <p role="alert" class="fault">
        {refused}
      </p>
    </>
  );
}

/** By then the browser has begun to write the file. */
const DOWNLOAD_BEGUN_MS = 10_000;

/** Who resends old bytes should have seen this before. */
function Newer({ message }: { message: ShownWhole }) {
  const newer = newerOf(message);
  if (newer === null) return null;
  return (
    <p class="news">
      There is a newer message about this report: <a href={messageLink('out', newer.id)}>{newer.controlId}</a>{' '}
      ({newer.status}).
    </p>
  );
}

function Facts({ message }: { message: ShownWhole }) {
  const facts: readonly (readonly [string, string | null])[] = [
    [
      message.direction === 'in' ? 'From' : 'To',
      message.partner + (message.peer === '' ? '' : ` (${message.peer})`),
    ],
    ['Type', message.type],
    ['Control ID', message.controlId],
    [message.direction === 'in' ? 'Received' : 'Made', sayTime(message.at)],
    [message.direction === 'in' ? 'Filed' : 'Acknowledged', sayTime(message.endedAt)],
    ['Reason', message.reason],
    ['That is', sayReason(message.reason)],
    ['Where', message.outcome.location],
    ['Error class', message.errorClass],
    ['MRN', message.mrn],
    ['Accession', message.accession],
    ['Lane', message.lane],
    ['Size', sayBytes(message.bytes)],
    ['Came again', message.repeats > 0 ? `${message.repeats} times` : null],
    ['Flags', message.flags.join(', ')],
    [
      'Report',
      message.report &&
        `${message.report.id} version ${message.report.version}, status ${message.report.resultStatus}`,
    ],
    ['Profile', message.report?.profile ?? null],
  ];
  return (
    <dl class="facts">
      <div>
        <dt>Status</dt>
        <dd>
          <span class={isBad(message.status) ? 'badge bad' : 'badge'}>{message.status}</span>
        </dd>
      </div>
      {facts
        .filter(([, value]) => value !== null && value !== '')
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** A later message about the same report for the same receiver that may be there already; null when there is none. */
function newerOf({ id, versions }: ShownWhole): ShownWhole['versions'][number] | null {
  const at = versions.findIndex((one) => one.id === id);
  return versions.slice(at + 1).findLast(({ status }) => NOT_SENT.has(status) === false) ?? null;
}

const NOT_SENT: ReadonlySet<string> = new Set(['stopped', 'unmade']);

const OVER_NEWER = 'A newer version of the report was sent. I know that these bytes may overwrite it.';
const AFTER_FINAL = 'A final report is there. I know that this preliminary result will follow it.';

/** What somebody must say that he knows before old bytes are sent: at once where the page knows it, else when the server says so. */
function checksFor(message: ShownWhole): Pick<Deed, 'check' | 'checkAfter'> {
  const checkAfter = { 'ris.newer-sent': OVER_NEWER, 'ris.final-seen': AFTER_FINAL };
  if (newerOf(message) !== null) return { check: OVER_NEWER, checkAfter };
  return message.status === 'stopped' ? { check: AFTER_FINAL, checkAfter } : { checkAfter };
}

/** What makes sense for a message in its state; the server has the last word. */
function deedsFor(message: ShownWhole, api: Api): Deed[] {
  const { direction, id } = message;
  const act = (action: string, words: string) => async (reason: string, checked: boolean) => {
    await api.act(`messages/${direction}/${id}/${action}`, {
      reason,
      ...(checked ? { overNewer: true } : {}),
    });
    return words;
  };
  const about = (action: string) => `${action} ${direction} ${id}`;
  const discard: Deed = {
    about: about('discard'),
    title: 'Discard this message?',
    explain: 'It is marked as dealt with, and nothing more is done with it. It stays in the log.',
    confirm: 'Discard',
    act: act('discard', 'Discarded.'),
  };
  if (direction === 'in') {
    if (message.status !== 'held') return [];
    const replay: Deed = {
      about: about('replay'),
      title: 'File this message again?',
      explain:
        'It is filed anew, as it came. What was filed from later messages meanwhile may be overwritten by what this one says.',
      confirm: 'File again',
      act: act('replay', 'The message waits to be filed.'),
    };
    return [replay, discard];
  }
  const resend: Deed = {
    about: about('resend'),
    title: 'Send the same bytes again?',
    explain:
      'The same message with the same control ID goes out again, as the next of its lane. For a receiver that lost it.',
    confirm: 'Resend same bytes',
    ...checksFor(message),
    act: act('resend', 'The same bytes wait to be sent again.'),
  };
  const rebuild: Deed = {
    about: about('rebuild'),
    title: 'Make a new message?',
    explain: 'A new message with a new control ID is made of what the record says now, and sent.',
    confirm: 'Rebuild new version',
    act: act('rebuild', 'A new message is being made.'),
  };
  const isOpen = message.status === 'waiting' || isBad(message.status);
  const hasBytes = message.status !== 'unmade' && message.droppedAt === null;
  return [
    ...(message.status === 'waiting' || !hasBytes ? [] : [resend]),
    rebuild,
    ...(isOpen ? [discard] : []),
  ];
}

import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { SignedOut } from '../../../browser/ask-server.ts';
import { hasWords } from '../../../browser/kept-words.ts';
import { LiveSign } from '../../../browser/live-sign.tsx';
import { ActDialog, type Deed } from './act-dialog.tsx';
import type { Alert, Api } from './api.ts';
import { DeadView } from './dead-view.tsx';
import { LanesView } from './lanes-view.tsx';
import { LogView } from './log-view.tsx';
import { MessageView } from './message-view.tsx';
import { plural } from './say.ts';
import { type Filter, SearchView } from './search-view.tsx';
import { useLostFocus } from './use-lost-focus.ts';
import { type Polled, usePolled } from './use-polled.ts';
import { type Route, useRoute } from './use-route.ts';

export interface ViewProps {
  readonly api: Api;
  readonly onSignedOut: (why: SignedOut) => void;
  /** Asks for confirmation and reason, then does it; `after` runs when it was done. */
  readonly ask: (deed: Deed, after: () => void) => void;
}

interface OperatorProps {
  readonly api: Api;
  /** An account is signed in: the worklist asks for its own token with the same account. */
  readonly hasAccount: boolean;
  readonly onSignedOut: (why: SignedOut) => void;
  readonly signOut: () => void;
}

const TABS: readonly (readonly [view: Route['view'], label: string])[] = [
  ['lanes', 'Lanes'],
  ['messages', 'Messages'],
  ['dead', 'Dead letters'],
  ['log', 'Log of actions'],
];

const TITLES: Readonly<Record<Route['view'], string>> = {
  lanes: 'Lanes',
  messages: 'Messages',
  message: 'Message',
  dead: 'Dead letters',
  log: 'Log of actions',
};

/** The page after sign-in. */
export function Operator({ api, hasAccount, onSignedOut, signOut }: OperatorProps) {
  const route = useRoute();
  const alerts = usePolled('alerts', (signal) => api.alerts(signal), onSignedOut);
  const [deed, setDeed] = useState<{ deed: Deed; after: () => void } | null>(null);
  const [news, setNews] = useState('');
  const search = useRef<Filter>({});
  const isFirst = useRef(true);
  const main = useRef<HTMLElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useLostFocus(main, heading);
  const ask = useCallback((next: Deed, after: () => void) => {
    setNews('');
    setDeed({ deed: next, after });
  }, []);
  const view: ViewProps = { api, onSignedOut, ask };
  useEffect(() => {
    document.title = `${TITLES[route.view]} · HL7 operator · Prelim`;
    // What was done was done elsewhere: here it would be taken for the state of this view.
    setNews(isFirst.current && hasWords() ? KEPT : '');
    isFirst.current = false;
    // Those who hear the page, and those who use the keyboard, go on where the new view begins.
    heading.current?.focus();
  }, [route.view, route.parts.join('/')]);

  return (
    <div class="operator">
      <TopBar {...{ alerts, hasAccount, signOut }} view={route.view} />
      <AlertStrip alerts={alerts.data ?? []} />
      <main ref={main}>
        <h2 ref={heading} tabIndex={-1}>
          {TITLES[route.view]}
        </h2>
        <p role="status" class={news === '' ? 'aside' : 'news'}>
          {news}
        </p>
        {route.view === 'lanes' && <LanesView {...view} />}
        {route.view === 'messages' && (
          <SearchView key={String(route.search)} {...view} given={route.search} last={search} />
        )}
        {route.view === 'message' && (
          <MessageView
            key={route.parts.join('/')}
            {...view}
            direction={route.parts[0] ?? ''}
            id={route.parts[1] ?? ''}
          />
        )}
        {route.view === 'dead' && <DeadView {...view} />}
        {route.view === 'log' && <LogView {...view} />}
      </main>
      {deed && (
        <ActDialog
          deed={deed.deed}
          close={() => setDeed(null)}
          done={(words) => {
            setDeed(null);
            setNews(words);
            deed.after();
            alerts.refresh();
          }}
          onSignedOut={onSignedOut}
        />
      )}
    </div>
  );
}

const KEPT = 'The sign-in had ended. The reason that you typed is kept: begin the same action again.';

interface TopBarProps {
  readonly view: Route['view'];
  readonly alerts: Polled<readonly Alert[]>;
  readonly hasAccount: boolean;
  readonly signOut: () => void;
}

function TopBar({ view, alerts, hasAccount, signOut }: TopBarProps) {
  const state = alerts.fault !== null ? 'broken' : alerts.data === null ? 'connecting' : 'live';
  return (
    <header class="top">
      <h1>HL7 operator</h1>
      <nav aria-label="Views">
        {TABS.map(([name, label]) => (
          <a
            key={name}
            href={`#/${name}`}
            {...(isCurrent(name, view) ? { 'aria-current': 'page' as const } : {})}
          >
            {label}
          </a>
        ))}
        <a href={hasAccount ? '../worklist/?begin=1' : '../worklist/'}>Worklist</a>
      </nav>
      <LiveSign state={state} nowMs={Date.now()} />
      <button type="button" onClick={signOut}>
        Sign out
      </button>
    </header>
  );
}

const isCurrent = (name: Route['view'], view: Route['view']) =>
  name === view || (name === 'messages' && view === 'message');

/** Where to look for what an alert is about; null where there is nothing to see on this page. */
const lookFor = ({ kind, about }: Alert): string | null =>
  kind === 'errors' ? `#/messages?direction=${about}` : (LOOK[kind] ?? null);

const LOOK: Readonly<Partial<Record<Alert['kind'], string>>> = {
  unsent: '#/lanes',
  unconfigured: '#/lanes',
  unfiled: '#/lanes',
  held: '#/lanes',
  dead: '#/dead',
};

function AlertStrip({ alerts }: { alerts: readonly Alert[] }) {
  if (alerts.length === 0) return null;
  return (
    <section class="alerts" aria-label="Alerts">
      <strong>{plural(alerts.length, 'alert')}</strong>
      <ul>
        {alerts.map((one) => (
          <li key={`${one.kind} ${one.about}`}>
            <span class="badge bad">{one.kind}</span> {one.about}: {one.text}{' '}
            {lookFor(one) && <a href={lookFor(one) ?? ''}>Look</a>}
          </li>
        ))}
      </ul>
    </section>
  );
}

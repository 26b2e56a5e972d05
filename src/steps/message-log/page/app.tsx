import { useMemo } from 'preact/hooks';
import { PageWithSignIn, type SignedIn } from '../../../browser/page-with-sign-in.tsx';
import type { SignInWords } from '../../../browser/sign-in.tsx';
import type { TabSession } from '../../../browser/tab-session.ts';
import { Api } from './api.ts';
import { Operator } from './operator.tsx';

const WORDS: SignInWords = {
  title: 'Prelim HL7 operator',
  about: 'Messages in and out, what blocks them, and what to do about it.',
  needs:
    'This sign-in is valid, but it may not see the message log. That takes the role operator or administrator, or a token with the scope system/Task.ru.',
  opens: '../hl7/lanes',
};

/** Sign-in or page. */
export function App({ session }: { session: TabSession }) {
  return (
    <PageWithSignIn session={session} words={WORDS}>
      {(signedIn) => <WithApi {...signedIn} />}
    </PageWithSignIn>
  );
}

function WithApi({ session, onSignedOut, signOut }: SignedIn) {
  const api = useMemo(() => new Api(session), [session]);
  return <Operator {...{ api, onSignedOut, signOut }} hasAccount={session.account() !== null} />;
}

import { PageWithSignIn } from '../../../browser/page-with-sign-in.tsx';
import type { SignInWords } from '../../../browser/sign-in.tsx';
import type { TabSession } from '../../../browser/tab-session.ts';
import { Worklist } from './worklist.tsx';

const WORDS: SignInWords = {
  title: 'Prelim worklist',
  about: 'Preliminary AI results for radiologists, most urgent first.',
  needs:
    'This sign-in is valid, but it may not see the worklist. That takes the role clinician or radiologist, or a token with the scope system/*.rs.',
  opens: 'api/rows',
};

/** Sign-in or worklist. */
export function App({ session }: { session: TabSession }) {
  return (
    <PageWithSignIn session={session} words={WORDS}>
      {(signedIn) => <Worklist {...signedIn} />}
    </PageWithSignIn>
  );
}

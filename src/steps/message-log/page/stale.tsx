/** What is shown is from the last look that succeeded: an old view must not look like a new one. */
export function Stale({ fault }: { fault: string | null }) {
  return (
    <p role="alert" class="fault">
      {fault !== null && `This is not up to date. ${fault}`}
    </p>
  );
}

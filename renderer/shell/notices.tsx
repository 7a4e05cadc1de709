/** Notices over the lower corner: errors with what to do and what was asked, information in passing. */
import { CircleAlert, Info, X } from "lucide-react";
import type { ReactNode } from "react";
import { Button } from "../components/button.tsx";
import { ErrorWords } from "../components/error-words.tsx";
import { dismissNotice, type Notice, useNotices } from "../state/notices.ts";
import { usePreferences } from "../state/preferences.ts";
import "./notices.css";

export function Notices(): ReactNode {
  const notices = useNotices((store) => store.notices);
  // Beside the side column: what a person acts on next stays in sight.
  const sideWidthPx = usePreferences((preferences) => preferences.sideWidthPx);
  return (
    <section className="notices" aria-label="Notices" aria-live="polite" style={{ right: sideWidthPx + 28 }}>
      {notices.map((notice) => (
        <NoticeCard key={notice.id} notice={notice} />
      ))}
    </section>
  );
}

function NoticeCard({ notice }: { readonly notice: Notice }): ReactNode {
  const Icon = notice.error === undefined ? Info : CircleAlert;
  return (
    <article
      className="notice"
      role={notice.error ? "alert" : undefined}
      data-kind={notice.error ? "error" : "information"}
    >
      <Icon className="notice-icon" aria-hidden size={16} />
      <div className="notice-body">
        <h2 className="notice-title">
          {notice.error ? `${notice.title} failed` : notice.title}
          {notice.times > 1 && <span className="notice-times"> ×{notice.times}</span>}
        </h2>
        {notice.error && <ErrorWords error={notice.error} />}
      </div>
      <Button
        kind="quiet"
        icon={X}
        className="button-icon"
        aria-label="Dismiss"
        onClick={() => dismissNotice(notice.id)}
      />
    </article>
  );
}

/** A report needs nothing but itself, shows any text as text, and says what was measured. */
import { createHash } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TidelineErrorData } from "../../../core/errors.ts";
import { visibleText } from "../../../core/report/visible-text.ts";
import type { QuantisationChange, QuantisedRole } from "../../../core/run/quantisation.ts";
import { MIB } from "../../../core/units.ts";
import { renderReport } from "../../../electron/report/render.tsx";
import { CAPACITY_BYTES, makeReport, reportedRun } from "./fixture.ts";

/** What a reader sees, tags taken out. */
function textOf(html: string): string {
  const body = html.slice(html.indexOf("<body>"));
  const text = body.replaceAll(/<[^>]*>/g, " ").replaceAll(/\s+/g, " ");
  return text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&quot;", '"').replaceAll("&amp;", "&");
}

describe("one file that needs nothing else", () => {
  const html = renderReport(makeReport());

  it("refers to nothing outside of it, and runs nothing", () => {
    expect(html).not.toMatch(/https?:|\/\/[a-z]|@import|<(script|link|img|iframe|object|embed|base|form)\b/i);
    expect(html).not.toMatch(/\s(src|href|style|on\w+)=/i);
    for (const [, target] of html.matchAll(/url\(([^)]*)\)/g)) expect(target).toMatch(/^#/);
  });

  it("forbids itself everything but its own style", () => {
    const [, policy] = /http-equiv="Content-Security-Policy" content="([^"]*)"/.exec(html) ?? [];
    const [, style = ""] = /<style>(.*?)<\/style>/s.exec(html) ?? [];
    const hash = createHash("sha256").update(style).digest("base64");
    expect(policy?.replaceAll("&#x27;", "'")).toBe(
      `default-src 'none'; style-src 'sha256-${hash}'; base-uri 'none'; form-action 'none'`,
    );
  });

  it("names every picture, with ids that occur once", () => {
    const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
    const pictures = [...html.matchAll(/<svg[^>]*role="img"[^>]*>/g)].map(([tag]) => tag);
    expect(pictures.length).toBe(9);
    for (const picture of pictures) {
      const [, title] = /aria-labelledby="([^"]*)"/.exec(picture) ?? [];
      expect(ids).toContain(title);
    }
    for (const [, target] of html.matchAll(/url\(#([^)]*)\)/g)) expect(ids).toContain(target);
  });

  it("keeps folders of its author to itself", () => {
    expect(html).not.toContain("/home/somebody");
    expect(textOf(html)).toContain("small-critic");
  });
});

describe("text that a model wrote", () => {
  const HOSTILE = [
    `</bdi></td><script>alert(1)</script>`,
    `"><img src=x onerror=alert(1)>`,
    `</style><style>body{display:none}`,
    "<!-- ",
    "]]>",
    "\u202Eesrever",
    "\u0000\u0007\u001b[31m",
    "\ud800 alone",
  ];

  it("stays text, and the rest of the document stays what it was", () => {
    const tags = (html: string) => html.replaceAll(/[^<>]*(<[^>]*>)[^<>]*/g, "$1");
    const samples = (texts: readonly string[]) => texts.map((text) => ({ prompt: text, response: text, reward: 0 }));
    const hostile = renderReport(makeReport({ samples: samples(HOSTILE) }));
    const harmless = renderReport(makeReport({ samples: samples(HOSTILE.map(() => "a")) }));
    expect(tags(hostile)).toBe(tags(harmless));
    expect(textOf(hostile)).toContain("<script>alert(1)</script>");
    expect(textOf(hostile)).toContain("⟨U+202E⟩esrever");
    expect(textOf(hostile)).toContain("␀␇␛[31m");
  });

  it("is shown without anything that hides, reverses or breaks it", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 300 }), (text) => {
        const shown = visibleText(text).replaceAll(/[\t\n]/g, "");
        expect(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u.exec(shown)).toBe(null);
      }),
    );
    expect(visibleText("plain — ünïcode 漢字 🎉\n\tand lines")).toBe("plain — ünïcode 漢字 🎉\n\tand lines");
  });

  it("is cut where nobody would read on, and says so", () => {
    expect(visibleText("a".repeat(5000))).toBe(`${"a".repeat(2000)} … (3000 more characters)`);
  });
});

describe("what it says", () => {
  it("is what was measured: peak, savings, price and reward", () => {
    const text = textOf(renderReport(makeReport()));
    expect(text).toContain("3 steps completed. The peak was 8.00 MiB of a capacity of 32.0 MiB");
    expect(text).toContain("With everything resident it was 20.0 MiB, in 900 ms per step");
    expect(text).toContain("12.0 MiB (60 %) were saved, for 150 ms more of memory actions per step");
    expect(text).toContain("The mean reward went from 0.250 to 0.450, the same in every bit");
  });

  it("says that the baseline learned otherwise, where it did", () => {
    const baseline = reportedRun(18 * MIB);
    const others = baseline.steps.map(({ statistics, ...step }) => ({
      ...step,
      ...(statistics && { statistics: { ...statistics, kl: statistics.kl + 1e-15 } }),
    }));
    const text = textOf(renderReport(makeReport({ baseline: { ...baseline, steps: others } })));
    expect(text).not.toContain("the same in every bit");
  });

  it("has each phase's holders and the speed of each copy", () => {
    const text = textOf(renderReport(makeReport()));
    expect(text).toContain("this run: engine.kv_cache 4.00 MiB");
    expect(text).toContain("everything resident: engine.kv_cache 18.0 MiB");
    expect(text).toMatch(/resume engine\.kv_cache rollout – 4\.00 MiB 3\.81 MiB 2\.0 ms 2\.00 GB\/s/);
  });

  it("says who held memory when a run stopped for want of it", () => {
    const error = {
      code: "out_of_memory" as const,
      message: "out of memory: 4.8 MiB were asked for, 1.0 MiB of 32.0 MiB are free",
      hint: "release engine.kv_cache",
      requestedBytes: 5 * MIB,
      freeBytes: MIB,
      capacityBytes: CAPACITY_BYTES,
      holders: [
        { consumer: "workspace", bytes: 2 * MIB },
        { consumer: "engine.kv_cache", bytes: 16 * MIB },
      ],
    } satisfies TidelineErrorData;
    const report = makeReport({ ending: { kind: "failed", place: "step 1, score_policy", error } });
    const text = textOf(renderReport(report));
    expect(text).toContain(
      "Stopped after 3 of 3 steps, in step 1, score_policy: out of memory: 4.8 MiB were asked for",
    );
    expect(text).toContain("Asked for 5.00 MiB, free 1.00 MiB of 32.0 MiB");
    expect(text).toMatch(/engine\.kv_cache 16\.0 MiB 50 % .*workspace 2\.00 MiB 6\.3 %/);
  });

  it("says what int8 weights change", () => {
    const change: QuantisationChange = {
      quantity: "logprobs",
      compared: 1745,
      meanAbsolute: 0.00607,
      maxAbsolute: 0.0611,
    };
    const reference: QuantisedRole = {
      role: "reference",
      floatBytes: 4 * MIB,
      int8Bytes: MIB,
      changes: [change],
    };
    const text = textOf(renderReport(makeReport({ quantisation: [reference] })));
    expect(text).toContain("reference 4.00 MiB 1.00 MiB 1,745 log-probs 0.00607 0.0611");
    expect(textOf(renderReport(makeReport()))).not.toContain("int8");
  });

  it("is written of a run that came to nothing", () => {
    const { own, baseline: _, shownStep: __, ...rest } = makeReport();
    const nothing = { ...own, steps: [], measurement: { steps: 0, peakBytes: 0, stepSeconds: 0, memorySeconds: 0 } };
    const text = textOf(renderReport({ ...rest, own: nothing, ending: { kind: "interrupted" } }));
    expect(text).toContain("Interrupted after 0 of 3 steps.");
    expect(text).not.toMatch(/NaN|Infinity|undefined/);
  });
});

describe("of a run on two devices", () => {
  const { settings, shownStep, own, ...rest } = makeReport();
  const ofDevices = { "cuda:1": { peakBytes: 3 * MIB, holders: {} }, "cuda:0": { peakBytes: 5 * MIB, holders: {} } };
  const steps = own.steps.map((step) => ({
    ...step,
    phases: step.phases.map((phase) => ({ ...phase, devices: ofDevices })),
  }));
  const [only] = shownStep?.devices ?? [];
  const html = renderReport({
    ...rest,
    settings: {
      ...settings,
      devices: [
        { name: "cuda:1", description: "one card", capacityBytes: 4 * MIB, holds: ["engine"] },
        { name: "cuda:0", description: "another", capacityBytes: 8 * MIB, holds: ["policy", "critic", "reference"] },
      ],
    },
    own: {
      ...own,
      steps,
      measurement: { ...own.measurement, devicePeakBytes: { "cuda:1": 3 * MIB, "cuda:0": 5 * MIB } },
    },
    ...(shownStep &&
      only && { shownStep: { ...shownStep, devices: ["cuda:1", "cuda:0"].map((name) => ({ ...only, name })) } }),
  });

  it("each has its peak and its pictures, with ids that occur once", () => {
    const text = textOf(html);
    expect(text).toContain("The peaks were 3.00 MiB of 4.00 MiB on cuda:1 and 5.00 MiB of 8.00 MiB on cuda:0");
    for (const device of ["cuda:1", "cuda:0"]) {
      expect(text).toContain(`Memory in step 3 on ${device}`);
      expect(text).toContain(`Memory in the whole run on ${device}`);
    }
    const ids = [...html.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it("says where every role was, and what each device may hold", () => {
    const text = textOf(html);
    expect(text).toContain("cuda:1: one card, capacity 4.00 MiB");
    expect(text).toMatch(/engine \S+ small-policy cuda:1/);
    expect(text).toMatch(/critic \S+ small-critic cuda:0/);
    expect(text).toMatch(/reward rule – –/);
  });
});

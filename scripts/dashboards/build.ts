/** What of Grafana's model is used here: https://grafana.com/docs/grafana/latest/dashboards/build-dashboards/view-dashboard-json-model/ */
export interface Dashboard {
  readonly uid: string;
  readonly title: string;
  readonly panels: readonly Panel[];
  readonly [member: string]: unknown;
}

export interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly [member: string]: unknown;
  }[];
  readonly [member: string]: unknown;
}

/** Grafana's names of units. */
type Unit =
  | "short"
  | "percentunit"
  | "bytes"
  | "Bps"
  | "s"
  | "celsius"
  | "watt"
  | "rotrpm"
  | "ops"
  | "dateTimeAsIso";

/** A query and what its series are called. */
export type Query = readonly [expr: string, legend?: string];

export interface PanelPlan {
  readonly type: "timeseries" | "stat" | "table" | "bargauge" | "state-timeline";
  readonly title: string;
  readonly queries: readonly Query[];
  readonly unit: Unit;
  /** Of the 24 columns. */
  readonly width: number;
  readonly height: number;
  /** From these values on it is yellow, and red. */
  readonly steps?: readonly [yellow: number, red: number];
}

export interface Row {
  readonly title: string;
  readonly panels: readonly PanelPlan[];
}

const datasource = { type: "prometheus", uid: "${datasource}" };
const COLUMNS = 24;

type Options = Partial<Pick<PanelPlan, "width" | "height" | "steps">>;

export const graph = (
  title: string,
  unit: Unit,
  queries: readonly Query[],
  options: Options = {},
): PanelPlan => ({
  type: "timeseries",
  title,
  unit,
  queries,
  width: 12,
  height: 8,
  ...options,
});
export const stat = (title: string, unit: Unit, query: Query, options: Options = {}): PanelPlan => ({
  type: "stat",
  title,
  unit,
  queries: [query],
  width: 4,
  height: 4,
  ...options,
});
export const table = (title: string, unit: Unit, query: Query, options: Options = {}): PanelPlan => ({
  type: "table",
  title,
  unit,
  queries: [query],
  width: 12,
  height: 8,
  ...options,
});
export const bars = (title: string, unit: Unit, query: Query, options: Options = {}): PanelPlan => ({
  ...table(title, unit, query, options),
  type: "bargauge",
});

/** A choice at the top of a dashboard. */
export const variable = (name: string, query: string, multi = false): object => ({
  name,
  type: "query",
  datasource,
  query: { query, refId: name },
  refresh: 2,
  sort: 1,
  multi,
  includeAll: multi,
  ...(multi ? { allValue: ".*" } : {}),
});

/** Panels from left to right, row by row, as wide as they say. */
export function dashboard(
  name: string,
  title: string,
  variables: readonly object[],
  rows: readonly Row[],
): Dashboard {
  return {
    uid: `socle-${name}`,
    title: `Socle / ${title}`,
    tags: ["socle"],
    schemaVersion: 39,
    editable: true,
    refresh: "30s",
    time: { from: "now-3h", to: "now" },
    links: [{ type: "dashboards", title: "Socle", tags: ["socle"], asDropdown: true, keepTime: true }],
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus", label: "Data source" },
        ...variables,
      ],
    },
    panels: layOut(rows),
  };
}

function layOut(rows: readonly Row[]): Panel[] {
  const panels: Panel[] = [];
  let y = 0;
  for (const row of rows) {
    const gridPos = { x: 0, y, w: COLUMNS, h: 1 };
    panels.push({
      id: panels.length + 1,
      type: "row",
      title: row.title,
      collapsed: false,
      gridPos,
      panels: [],
    });
    y += 1;
    let x = 0;
    let height = 0;
    for (const plan of row.panels) {
      if (x + plan.width > COLUMNS) {
        y += height;
        x = height = 0;
      }
      panels.push(panel(plan, panels.length + 1, { x, y, w: plan.width, h: plan.height }));
      x += plan.width;
      height = Math.max(height, plan.height);
    }
    y += height;
  }
  return panels;
}

function panel(plan: PanelPlan, id: number, gridPos: Panel["gridPos"]): Panel {
  const { type, title, queries, unit, steps } = plan;
  const isInstant = type !== "timeseries" && type !== "state-timeline";
  return {
    id,
    type,
    title,
    gridPos,
    datasource,
    targets: queries.map(([expr, legendFormat], index) => ({
      refId: String.fromCharCode(65 + index),
      datasource,
      expr,
      ...(legendFormat === undefined ? {} : { legendFormat }),
      ...(isInstant ? { instant: true, range: false } : {}),
      ...(type === "table" ? { format: "table" } : {}),
    })),
    fieldConfig: {
      defaults: {
        unit,
        ...(steps === undefined ? {} : { color: { mode: "thresholds" }, thresholds: thresholds(steps) }),
      },
      overrides: [],
    },
    options: optionsOf(type),
  };
}

function thresholds([yellow, red]: readonly [number, number]): object {
  // The least value of all has no number: Grafana wants null there.
  const steps = [
    { color: "green", value: null },
    { color: "yellow", value: yellow },
    { color: "red", value: red },
  ];
  return { mode: "absolute", steps };
}

function optionsOf(type: PanelPlan["type"]): object {
  const last = { reduceOptions: { calcs: ["lastNotNull"], fields: "", values: false } };
  switch (type) {
    case "timeseries":
      return {
        legend: { displayMode: "list", placement: "bottom" },
        tooltip: { mode: "multi", sort: "desc" },
      };
    case "stat":
      return { ...last, graphMode: "none", colorMode: "value" };
    case "bargauge":
      return { ...last, displayMode: "lcd", orientation: "horizontal" };
    case "table":
      return { showHeader: true };
    case "state-timeline":
      return { showValue: "never" };
  }
}

//! The table proper: which columns fit, how wide they are, and which rows.

use super::{Keep, Line, Tone, clean, header, partial, place};
use crate::{
    text::{escape, human, width},
    view::{AllocContext, By, Row, Sampling, Snapshot, Sort, Trend, key},
};

/// Between two columns.
const GAP: usize = 2;
/// As many rows stay, if there are as many, before lines around the table go.
const MIN_ROWS: usize = 3;
/// A command name in full: 15 bytes and the brackets of a kernel thread.
const KEY_MIN: usize = 17;
/// A node's number is short, but it may be unknown.
const NODE_MIN: usize = 9;
/// More than that, a key gets only if no other column wants the room.
const KEY_MAX: usize = 40;
/// Worth more than the columns after it, which make room for that much.
const WHERE_MIN: usize = 30;
/// Below that, a place tells too little to be shown.
const WHERE_LEAST: usize = 16;
const WHERE_MAX: usize = 100;
/// No word for a trend is longer.
const TREND_WIDTH: usize = 6;
const STARTED_BY_MIN: usize = 16;
const STARTED_BY_MAX: usize = 60;
const CGROUP_MIN: usize = 16;
const CGROUP_MAX: usize = 40;
/// So much of a text stays beside an aside.
const BESIDE_ASIDE: usize = 24;
/// No pid is longer.
const PID_WIDTH: usize = 7;

/// The rows of a snapshot, about to be drawn.
pub(super) struct Table<'a> {
    snapshot: &'a Snapshot,
}

/// Rows that are not shown, because of `--top` or for lack of room.
#[derive(Clone, Copy, Default)]
struct Hidden {
    rows: u64,
    objects: u64,
    bytes: u64,
}

impl<'a> Table<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        Table { snapshot }
    }

    fn is_empty(&self) -> bool {
        self.snapshot.rows.is_empty() && self.snapshot.rest.is_none()
    }

    /// Lines that the table wants at least.
    pub(super) fn least_height(&self) -> usize {
        if self.is_empty() {
            return 1;
        }
        let rows = self.snapshot.rows.len().min(MIN_ROWS);
        1 + rows + usize::from(rows < self.snapshot.rows.len() || self.snapshot.rest.is_some())
    }

    /// The table in at most `room` lines, if that is at all possible.
    pub(super) fn lines(&self, room: usize, width: Option<usize>) -> Vec<Line> {
        if self.is_empty() {
            return vec![Line::new(empty(self.snapshot), Tone::Normal, Keep::Always)];
        }
        let all = self.snapshot.rows.len();
        let more = self.snapshot.rest.is_some();
        // The total only repeats a row that stands alone.
        let with_total = all + usize::from(more) > 1;
        let body = room.saturating_sub(1);
        if all + usize::from(more) + usize::from(with_total) <= body {
            return self.draw(all, with_total, width);
        }
        // First the total goes, then rows.
        let with_total = with_total && body > MIN_ROWS + 1;
        let shown = body.saturating_sub(usize::from(with_total));
        let shown = if more || all > shown { shown.saturating_sub(1) } else { shown };
        self.draw(shown.clamp(1, all.max(1)).min(all), with_total, width)
    }

    fn draw(&self, shown: usize, with_total: bool, width: Option<usize>) -> Vec<Line> {
        let rows = &self.snapshot.rows[..shown];
        let hidden = self.hidden(shown);
        let columns = lay_out(self.columns(rows, hidden, with_total), self.snapshot.sort, width);
        let body = rows.len() + usize::from(hidden.rows > 0) + usize::from(with_total);
        let line = |cell: &dyn Fn(&Column) -> Cell| {
            let cells: Vec<String> = columns.iter().map(|column| column.draw(&cell(column))).collect();
            cells.join(&" ".repeat(GAP)).trim_end().to_owned()
        };
        let head = Line::new(line(&|column| Cell::from(column.title)), Tone::Head, Keep::Always);
        let rows = (0..body).map(|at| {
            let tone = if at < rows.len() { Tone::Normal } else { Tone::Quiet };
            Line::new(line(&|column| column.cells[at].clone()), tone, Keep::Always)
        });
        std::iter::once(head).chain(rows).collect()
    }

    fn hidden(&self, shown: usize) -> Hidden {
        let rest = self.snapshot.rest.unwrap_or_default();
        let start = Hidden { rows: rest.rows, objects: rest.objects, bytes: rest.bytes };
        self.snapshot.rows[shown..].iter().fold(start, |sum, row| Hidden {
            rows: sum.rows.saturating_add(1),
            objects: sum.objects.saturating_add(row.objects),
            bytes: sum.bytes.saturating_add(row.bytes),
        })
    }

    /// All columns that the rows can fill, in the order they stand.
    fn columns(&self, rows: &[Row], hidden: Hidden, with_total: bool) -> Vec<Column> {
        let rest = (hidden.rows > 0).then_some(hidden);
        let total = with_total.then(|| self.total());
        let build = Build { rows, rest, total, sampling: self.snapshot.sampling };
        let mut columns = self.keys(&build);
        columns.extend([
            build.number(Kind::Objects, build.objects_width(), |row| build.objects(row.objects)),
            build.number(Kind::Bytes, human::BYTES_WIDTH, |row| human::bytes(row.bytes)),
        ]);
        if partial::any(self.snapshot) {
            let cells = rows.iter().map(|row| Cell::from(partial::of_row(self.snapshot, row)));
            columns.push(build.text(Kind::Traced, (partial::WIDTH, partial::WIDTH), cells.collect()));
        }
        columns.extend([
            build.number(Kind::Allocs, human::RATE_WIDTH, |row| human::rate(row.allocs_per_s)),
            build.number(Kind::Frees, human::RATE_WIDTH, |row| human::rate(row.frees_per_s)),
            build.number(Kind::Growth, human::GROWTH_WIDTH, |row| human::growth(row.growth_per_s)),
            build.text(Kind::Trend, (TREND_WIDTH, TREND_WIDTH), rows.iter().map(trend).collect()),
            build.number(Kind::Oldest, human::DURATION_WIDTH, |row| {
                row.oldest.map_or_else(|| "-".to_owned(), human::duration)
            }),
            build.number(Kind::Kept, human::PERCENT_WIDTH, |row| human::percent(row.survival())),
        ]);
        if !self.snapshot.by.contains(By::Pid) {
            columns.push(build.number(Kind::Procs, 0, |row| match row.processes {
                // The total: a process may stand behind several rows, so they do not add up.
                0 => String::new(),
                processes => human::count(processes),
            }));
        }
        if self.snapshot.rows.iter().any(|row| !row.names.is_empty()) {
            let cells = rows
                .iter()
                .map(|row| row.names.first().map_or_else(Cell::default, |group| place::cell(group, row)));
            columns.push(build.text(Kind::Where, (WHERE_MIN, WHERE_MAX), cells.collect()));
        }
        let by = &self.snapshot.by;
        if !by.contains(By::Ancestors) && self.snapshot.rows.iter().any(|row| !row.started_by.is_empty()) {
            columns.push(build.text(
                Kind::StartedBy,
                (STARTED_BY_MIN, STARTED_BY_MAX),
                rows.iter().map(started_by).collect(),
            ));
        }
        if !by.contains(By::Cgroup) && self.has_several_cgroups() {
            columns.push(build.text(
                Kind::InCgroup,
                (CGROUP_MIN, CGROUP_MAX),
                rows.iter().map(cgroup).collect(),
            ));
        }
        columns
    }

    /// Where all rows are of one, it tells nothing.
    fn has_several_cgroups(&self) -> bool {
        let mut cgroups = self.snapshot.rows.iter().flat_map(|row| &row.cgroups).map(|cgroup| cgroup.id);
        let first = cgroups.next();
        cgroups.any(|id| Some(id) != first)
    }

    /// What the rows are grouped by, a column for each key. The last one that is a text bears the labels of the last rows.
    fn keys(&self, build: &Build) -> Vec<Column> {
        let by = &self.snapshot.by;
        let mut columns = Vec::new();
        for (at, key) in by.iter().enumerate() {
            // The row that stands for the total has none.
            let text = |row: &Row| {
                Cell::from(escape::terminal(row.keys.get(at).map_or(&[], Vec::as_slice)).as_ref())
            };
            let cells = |cell: &dyn Fn(&Row) -> Cell| build.rows.iter().map(cell).collect();
            match key {
                By::Comm => columns.push(build.labelled(Kind::Comm, cells(&text))),
                By::Ancestors => columns.push(build.labelled(Kind::Ancestors, cells(&text))),
                By::Cgroup => columns.push(build.labelled(Kind::Cgroup, cells(&text))),
                By::CallSite => columns.push(build.labelled(Kind::CallSite, cells(&text))),
                By::Node => columns.push(build.labelled(Kind::Node, cells(&text))),
                By::Gfp => columns.push(build.labelled(Kind::Gfp, cells(&text))),
                By::Context => columns.push(build.labelled(Kind::Context, cells(&text))),
                By::Cache => columns.push(build.labelled(Kind::Cache, cells(&|row| self.cache_key(row, at)))),
                By::Pid => {
                    let mut pids = build.number(Kind::Pid, PID_WIDTH, |row| text(row).text);
                    pids.cells[build.rows.len()..].fill(Cell::default());
                    columns.push(pids);
                    let comm = |row: &Row| {
                        Cell::from(row.comm.as_deref().map_or("-".into(), escape::terminal).as_ref())
                    };
                    if !by.contains(By::Comm) && !by.contains(By::Ancestors) {
                        columns.push(build.labelled(Kind::Comm, cells(&comm)));
                    }
                }
            }
        }
        // Once is enough.
        let mut texts = columns.iter_mut().filter(|column| column.kind != Kind::Pid);
        texts.next();
        texts.for_each(|column| column.cells[build.rows.len()..].fill(Cell::default()));
        columns
    }

    fn cache_key(&self, row: &Row, at: usize) -> Cell {
        let name = String::from_utf8_lossy(&row.keys[at]);
        let cache = self.snapshot.caches.iter().find(|cache| cache.name == name);
        Cell { text: clean(&name), tail: cache.map(header::merged).unwrap_or_default(), ..Cell::default() }
    }

    /// All rows added up, shown or not. Of rows that `--top` cut only objects and bytes are known, so then the
    /// total has no more either.
    fn total(&self) -> Total {
        let all = self.hidden(0);
        Total {
            objects: all.objects,
            bytes: all.bytes,
            row: self.snapshot.rest.is_none().then(|| self.sum_of_rows()),
        }
    }

    fn sum_of_rows(&self) -> Row {
        let rows = &self.snapshot.rows;
        let count = |of: fn(&Row) -> u64| rows.iter().map(of).fold(0, u64::saturating_add);
        let rate = |of: fn(&Row) -> f64| rows.iter().map(of).sum();
        Row {
            keys: Vec::new(),
            comm: None,
            pid: None,
            process: None,
            cache: None,
            caches: Vec::new(),
            trend: Trend::TooEarly,
            started_by: Vec::new(),
            cgroups: Vec::new(),
            stacked_objects: 0,
            stacks: Vec::new(),
            call_site: None,
            alloc_context: AllocContext::default(),
            processes: 0,
            objects: count(|row| row.objects),
            bytes: count(|row| row.bytes),
            partial_objects: count(|row| row.partial_objects),
            allocs: count(|row| row.allocs),
            frees: count(|row| row.frees),
            allocs_per_s: rate(|row| row.allocs_per_s),
            frees_per_s: rate(|row| row.frees_per_s),
            growth_per_s: rate(|row| row.growth_per_s),
            oldest: rows.iter().filter_map(|row| row.oldest).max(),
            ages: Vec::new(),
            cohorts: Vec::new(),
            named_objects: 0,
            negatives: None,
            names: Vec::new(),
        }
    }
}

pub(in crate::output) fn empty(snapshot: &Snapshot) -> String {
    match (snapshot.older, snapshot.is_final) {
        (Some(age), _) => format!("no objects older than {} outstanding", human::duration(age)),
        (None, true) => {
            "no objects outstanding: all that was allocated since attach is free again".to_owned()
        }
        (None, false) => "no objects outstanding yet".to_owned(),
    }
}

fn trend(row: &Row) -> Cell {
    Cell::from(trend_word(row.trend))
}

pub(in crate::output) fn trend_word(trend: Trend) -> &'static str {
    match trend {
        Trend::TooEarly => "",
        Trend::Growing(_) => "grows",
        Trend::Plateaued => "flat",
        Trend::Burst => "burst",
        Trend::Churning => "churns",
        Trend::Steady => "steady",
    }
}

/// Who started most of a row's processes, and of which share of its objects, unless it is all.
fn started_by(row: &Row) -> Cell {
    let Some(most) = row.started_by.first() else { return Cell::default() };
    let comms: Vec<_> = most.comms.iter().map(|comm| escape::terminal(comm)).collect();
    let text = if comms.is_empty() { "-".to_owned() } else { comms.join(" < ") };
    Cell { text, tail: share(most.objects, row), ..Cell::default() }
}

/// The cgroup of most of a row's objects.
fn cgroup(row: &Row) -> Cell {
    let Some(most) = row.cgroups.first() else { return Cell::default() };
    let text = escape::terminal(&key::cgroup(most.id, most.path.as_deref())).into_owned();
    Cell { text, tail: share(most.objects, row), ..Cell::default() }
}

fn share(objects: u64, row: &Row) -> String {
    if objects == row.objects {
        String::new()
    } else {
        format!(" {}", human::percent(objects as f64 / row.objects as f64))
    }
}

struct Total {
    objects: u64,
    bytes: u64,
    row: Option<Row>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Comm,
    Pid,
    Ancestors,
    Cgroup,
    CallSite,
    Node,
    Gfp,
    Context,
    Cache,
    Objects,
    Bytes,
    Traced,
    Allocs,
    Frees,
    Growth,
    Trend,
    Oldest,
    Kept,
    Procs,
    Where,
    StartedBy,
    InCgroup,
}

impl Kind {
    fn title(self) -> &'static str {
        match self {
            Kind::Comm => "COMM",
            Kind::Pid => "PID",
            Kind::Ancestors => "COMM < STARTED BY",
            Kind::StartedBy => "STARTED BY",
            Kind::Cgroup | Kind::InCgroup => "CGROUP",
            Kind::CallSite => "CALL SITE",
            Kind::Node => "NODE",
            Kind::Gfp => "GFP",
            Kind::Context => "CONTEXT",
            Kind::Cache => "CACHE",
            Kind::Objects => "OBJECTS",
            Kind::Bytes => "BYTES",
            Kind::Traced => "TRACED",
            Kind::Allocs => "ALLOCS",
            Kind::Frees => "FREES",
            Kind::Growth => "GROWTH",
            Kind::Trend => "TREND",
            Kind::Oldest => "OLDEST",
            Kind::Kept => "KEPT",
            Kind::Procs => "PROCS",
            Kind::Where => "WHERE",
        }
    }

    /// Which column gets the room first: who and how much, what the rows are ordered by, then what tells a leak
    /// from churn.
    fn rank(self, sort: Sort) -> u8 {
        let sorted_by = match sort {
            Sort::Bytes => Kind::Bytes,
            Sort::Objects => Kind::Objects,
            Sort::Growth => Kind::Growth,
            Sort::Age => Kind::Oldest,
        };
        match self {
            Kind::Pid | Kind::Comm | Kind::Ancestors | Kind::Cgroup | Kind::CallSite | Kind::Cache => 0,
            Kind::Node | Kind::Gfp | Kind::Context => 0,
            _ if self == sorted_by => 1,
            Kind::Bytes | Kind::Traced => 2,
            Kind::Growth => 3,
            Kind::Objects => 4,
            Kind::Where => 5,
            Kind::StartedBy => 6,
            Kind::Trend => 7,
            Kind::Oldest => 8,
            Kind::Kept => 9,
            Kind::InCgroup => 10,
            Kind::Allocs => 11,
            Kind::Frees => 12,
            Kind::Procs => 13,
        }
    }
}

/// What a column shows in a line. The tail stays when the text is cut.
#[derive(Clone, Default)]
pub(super) struct Cell {
    pub(super) text: String,
    pub(super) tail: String,
    /// Behind the tail, where there is room for it beside a good part of the text.
    pub(super) aside: String,
    /// The end of the text says more than its beginning.
    pub(super) is_path: bool,
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Cell { text: text.to_owned(), ..Cell::default() }
    }
}

impl Cell {
    fn width(&self) -> usize {
        [&self.text, &self.tail, &self.aside].map(|part| width::cells(part)).iter().sum()
    }

    /// In at most so many cells.
    fn fit(&self, width: usize) -> String {
        let text_width = width::cells(&self.text);
        let without_aside = width.saturating_sub(width::cells(&self.tail));
        let beside = without_aside.checked_sub(width::cells(&self.aside));
        let (room, aside) = match beside {
            Some(room) if room >= text_width.min(BESIDE_ASIDE) => (room, self.aside.as_str()),
            _ => (without_aside, ""),
        };
        let text = if self.is_path { place::cut(&self.text, room) } else { width::cut(&self.text, room) };
        width::cut(&format!("{text}{}{aside}", self.tail), width).into_owned()
    }
}

struct Column {
    kind: Kind,
    title: &'static str,
    to_the_left: bool,
    /// Drawn so wide; at first the least that it gets. That does not depend on what the cells hold, so that
    /// columns do not come and go in a window.
    width: usize,
    /// More is of no use.
    useful: usize,
    cells: Vec<Cell>,
}

impl Column {
    fn draw(&self, cell: &Cell) -> String {
        let fitting = cell.fit(self.width);
        if self.to_the_left {
            width::pad_right(&fitting, self.width)
        } else {
            width::pad_left(&fitting, self.width)
        }
    }
}

/// What every column is made from.
struct Build<'a> {
    rows: &'a [Row],
    rest: Option<Hidden>,
    total: Option<Total>,
    sampling: Sampling,
}

impl Build<'_> {
    /// How many, and where that is an estimate, how far it can be wrong: `12,300   ±4%`.
    fn objects(&self, objects: u64) -> String {
        let count = human::count(objects);
        if !self.sampling.is_on() {
            return count;
        }
        let error = self.sampling.error(objects).map(human::error).unwrap_or_default();
        // Below each other.
        format!("{count} {}", width::pad_left(&error, human::ERROR_WIDTH))
    }

    fn objects_width(&self) -> usize {
        human::COUNT_WIDTH + if self.sampling.is_on() { 1 + human::ERROR_WIDTH } else { 0 }
    }

    /// A column of figures. They have a greatest width, and the column always has it, so that it stands still.
    fn number(&self, kind: Kind, width: usize, cell: impl Fn(&Row) -> String) -> Column {
        let mut cells: Vec<Cell> = self.rows.iter().map(|row| Cell::from(cell(row).as_str())).collect();
        let known = |objects: u64, bytes: u64| match kind {
            Kind::Objects => self.objects(objects),
            Kind::Bytes => human::bytes(bytes),
            _ => String::new(),
        };
        cells.extend(self.rest.map(|rest| Cell::from(known(rest.objects, rest.bytes).as_str())));
        cells.extend(self.total.as_ref().map(|total| {
            let text = total.row.as_ref().map_or_else(|| known(total.objects, total.bytes), &cell);
            Cell::from(text.as_str())
        }));
        let width = cells.iter().map(Cell::width).max().unwrap_or(0).max(width).max(kind.title().len());
        Column { kind, title: kind.title(), to_the_left: false, width, useful: width, cells }
    }

    /// The column that names the rows, those at the end too.
    fn labelled(&self, kind: Kind, mut cells: Vec<Cell>) -> Column {
        cells.extend(
            self.rest.map(|rest| Cell::from(format!("… {} more", human::grouped(rest.rows)).as_str())),
        );
        cells.extend(self.total.as_ref().map(|_| Cell::from("total")));
        let most = if kind == Kind::Ancestors { STARTED_BY_MAX } else { KEY_MAX };
        let least = if kind == Kind::Node { NODE_MIN } else { KEY_MIN };
        self.text(kind, (least, most), cells)
    }

    fn text(&self, kind: Kind, (least, most): (usize, usize), mut cells: Vec<Cell>) -> Column {
        cells.resize(
            self.rows.len() + usize::from(self.rest.is_some()) + usize::from(self.total.is_some()),
            Cell::default(),
        );
        let need = cells.iter().map(Cell::width).max().unwrap_or(0).max(kind.title().len());
        Column { kind, title: kind.title(), to_the_left: true, width: least, useful: need.min(most), cells }
    }
}

/// Takes the columns that fit, the most important first, then widens the texts.
fn lay_out(mut columns: Vec<Column>, sort: Sort, width: Option<usize>) -> Vec<Column> {
    let mut left = width.unwrap_or(usize::MAX);
    if width.is_none() {
        // In a file nothing has to stand still.
        columns.iter_mut().for_each(|column| column.width = column.width.min(column.useful));
    }
    // In a narrow window, names give way to figures.
    let third = (left / 3).max(8);
    for column in columns.iter_mut().filter(|column| column.kind.rank(sort) == 0) {
        column.width = column.width.min(third);
    }
    let mut order: Vec<usize> = (0..columns.len()).collect();
    order.sort_by_key(|&at| columns[at].kind.rank(sort));
    let mut taken = vec![false; columns.len()];
    for &at in &order {
        let gap = if taken.contains(&true) { GAP } else { 0 };
        let room = left.saturating_sub(gap);
        if columns[at].kind == Kind::Where && room >= WHERE_LEAST {
            columns[at].width = columns[at].width.min(room);
        }
        let need = columns[at].width.saturating_add(gap);
        if need <= left || !taken.contains(&true) {
            taken[at] = true;
            left = left.saturating_sub(need);
        }
    }
    for &at in order.iter().filter(|&&at| taken[at]) {
        let more = (columns[at].useful.saturating_sub(columns[at].width)).min(left);
        columns[at].width += more;
        left -= more;
    }
    let mut taken = taken.into_iter();
    columns.retain(|_| taken.next() == Some(true));
    columns
}

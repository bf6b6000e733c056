//! A crate as modules and what each names of the others, read from its source. Tests are left out.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Expr, Item, ItemUse, Macro, Token, UseTree, Visibility};

/// Path of a module or an item in the crate, without `crate`.
pub type Segments = Vec<String>;

/// A file of the crate, which is one module; modules within a file count for it.
pub struct Module {
    pub path: Segments,
    /// In the repository.
    pub file: String,
    /// Names that it takes over from elsewhere (`pub use`), and from where.
    aliases: BTreeMap<String, Segments>,
    /// What it names of the crate, with the line.
    names: Vec<(Segments, usize)>,
    pub functions: Vec<Function>,
    /// Line ranges of its tests.
    pub tests: Vec<(usize, usize)>,
    has_children: bool,
}

pub struct Function {
    pub name: String,
    pub line: usize,
    pub lines: usize,
}

/// One file names something that is defined in another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub from: usize,
    pub to: usize,
    pub line: usize,
}

pub struct Crate {
    pub modules: Vec<Module>,
    /// The public modules, in the order in which the root lists them.
    pub rooms: Vec<String>,
}

impl Crate {
    /// Reads the crate whose root is `file`, and all modules below it. Files are named relative to `tree`.
    pub fn read(tree: &Path, file: &Path) -> Result<Self> {
        let mut modules = Vec::new();
        read_module(tree, file, Vec::new(), &mut modules)?;
        let text = fs::read_to_string(file)?;
        let rooms = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
        let rooms = rooms.map(str::to_owned).collect();
        Ok(Self { modules, rooms })
    }

    /// Each pair of files once, with the first line that makes it.
    pub fn edges(&self) -> Vec<Edge> {
        let mut edges: BTreeMap<(usize, usize), usize> = BTreeMap::new();
        for (from, module) in self.modules.iter().enumerate() {
            for (name, line) in &module.names {
                // Who imports a folder names something in it, too, and that is what counts.
                let is_folder = |to: usize| self.modules[to].path == *name && self.modules[to].has_children;
                let to = self.defined_in(name).filter(|&to| to != from && !is_folder(to));
                let Some(to) = to else { continue };
                edges.entry((from, to)).and_modify(|first| *first = (*first).min(*line)).or_insert(*line);
            }
        }
        edges.into_iter().map(|((from, to), line)| Edge { from, to, line }).collect()
    }

    /// The folder that a module is in, by its place in [`Self::rooms`].
    pub fn room(&self, module: usize) -> Option<usize> {
        let first = self.modules[module].path.first()?;
        self.rooms.iter().position(|room| room == first)
    }

    /// The module that defines this name, behind any number of re-exports.
    fn defined_in(&self, name: &[String]) -> Option<usize> {
        let mut name = name.to_vec();
        // A re-export of a re-export of ...; they cannot go round.
        for _ in 0..8 {
            let (depth, module) = self.innermost(&name)?;
            let Some(target) = name.get(depth).and_then(|item| self.modules[module].aliases.get(item)) else {
                return Some(module);
            };
            name = target.iter().chain(&name[depth + 1..]).cloned().collect();
        }
        None
    }

    /// The module with the longest path that `name` begins with.
    fn innermost(&self, name: &[String]) -> Option<(usize, usize)> {
        let candidates = self.modules.iter().enumerate().filter(|(_, module)| name.starts_with(&module.path));
        candidates.map(|(at, module)| (module.path.len(), at)).max()
    }
}

fn read_module(root: &Path, file: &Path, path: Segments, modules: &mut Vec<Module>) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let syntax = syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
    let shown = file.strip_prefix(root).unwrap_or(file).display().to_string();
    let mut reader = Reader::new(&path);
    reader.visit_file(&syntax);
    let Reader { aliases, names, functions, tests, children, .. } = reader;
    let has_children = !children.is_empty();
    modules.push(Module { path: path.clone(), file: shown, aliases, names, functions, tests, has_children });
    for child in children {
        let mut child_path = path.clone();
        child_path.push(child.clone());
        read_module(root, &file_of(file, &child), child_path, modules)?;
    }
    Ok(())
}

/// Where the module `child` of the module in `parent` is.
fn file_of(parent: &Path, child: &str) -> PathBuf {
    let is_folder = ["mod.rs", "lib.rs", "main.rs"].iter().any(|name| parent.ends_with(name));
    let folder = if is_folder { parent.parent().map(Path::to_owned) } else { None };
    let folder = folder.unwrap_or_else(|| parent.with_extension(""));
    let file = folder.join(format!("{child}.rs"));
    if file.exists() { file } else { folder.join(child).join("mod.rs") }
}

struct Reader<'a> {
    path: &'a [String],
    aliases: BTreeMap<String, Segments>,
    /// What `use` gives names to in this file: modules among them.
    imports: BTreeMap<String, Segments>,
    names: Vec<(Segments, usize)>,
    functions: Vec<Function>,
    tests: Vec<(usize, usize)>,
    /// Modules that are files of their own.
    children: Vec<String>,
}

impl<'a> Reader<'a> {
    fn new(path: &'a [String]) -> Self {
        Self {
            path,
            aliases: BTreeMap::new(),
            imports: BTreeMap::new(),
            names: Vec::new(),
            functions: Vec::new(),
            tests: Vec::new(),
            children: Vec::new(),
        }
    }

    /// A path in this file as one in the crate; None for other crates' and for names that are not modules here.
    fn resolve(&self, segments: &[String]) -> Option<Segments> {
        let first = segments.first()?;
        let mut base = self.path.to_vec();
        let mut rest = segments;
        if first == "crate" {
            return Some(segments[1..].to_vec());
        }
        if let Some(import) = self.imports.get(first) {
            return Some(import.iter().chain(&segments[1..]).cloned().collect());
        }
        if self.children.contains(first) {
            base.extend_from_slice(segments);
            return Some(base);
        }
        if first != "self" && first != "super" {
            return None;
        }
        while let Some((first, others)) = rest.split_first() {
            match first.as_str() {
                "self" => {}
                "super" => drop(base.pop()?),
                _ => break,
            }
            rest = others;
        }
        base.extend_from_slice(rest);
        Some(base)
    }

    /// From its name to its last brace: documentation does not count.
    fn enter_function(&mut self, signature: &syn::Signature, block: &syn::Block) {
        let (line, end) = (signature.span().start().line, block.span().end().line);
        self.functions.push(Function { name: signature.ident.to_string(), line, lines: end - line + 1 });
    }
}

impl Visit<'_> for Reader<'_> {
    /// Imports and child modules come first: paths are resolved by them.
    fn visit_file(&mut self, file: &syn::File) {
        for item in &file.items {
            match item {
                // A module at a `#[path]` is another crate's file.
                Item::Mod(module) if module.content.is_none() && !is_elsewhere(&module.attrs) => {
                    self.children.push(module.ident.to_string());
                }
                _ => {}
            }
        }
        for item in &file.items {
            if let Item::Use(item) = item
                && !is_test(&item.attrs)
            {
                self.import(item);
            }
        }
        visit::visit_file(self, file);
    }

    fn visit_item(&mut self, item: &Item) {
        if is_test(attributes(item)) {
            // The attribute is a line of its own.
            let span = item.span();
            self.tests.push((span.start().line, span.end().line));
            return;
        }
        visit::visit_item(self, item);
    }

    fn visit_item_use(&mut self, _: &ItemUse) {}

    fn visit_item_fn(&mut self, function: &syn::ItemFn) {
        self.enter_function(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &syn::ImplItemFn) {
        self.enter_function(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_path(&mut self, path: &syn::Path) {
        let segments: Segments = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if let Some(name) = self.resolve(&segments) {
            self.names.push((name, path.span().start().line));
        }
        visit::visit_path(self, path);
    }

    /// The arguments of `format!`, `vec!`, `assert!` and their like are expressions.
    fn visit_macro(&mut self, call: &Macro) {
        if let Ok(arguments) = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated) {
            arguments.iter().for_each(|argument| self.visit_expr(argument));
        }
    }
}

impl Reader<'_> {
    fn import(&mut self, item: &ItemUse) {
        let mut leaves = Vec::new();
        flatten(&item.tree, &mut Vec::new(), &mut leaves);
        let is_private = matches!(item.vis, Visibility::Inherited);
        for Leaf { path, name, line } in leaves {
            let Some(target) = self.resolve(&path) else { continue };
            if !is_private {
                self.aliases.insert(name.clone(), target.clone());
            } else {
                self.names.push((target.clone(), line));
            }
            self.imports.insert(name, target);
        }
    }
}

/// One name that a `use` brings.
struct Leaf {
    path: Segments,
    name: String,
    line: usize,
}

fn flatten(tree: &UseTree, prefix: &mut Segments, leaves: &mut Vec<Leaf>) {
    match tree {
        UseTree::Path(path) => {
            prefix.push(path.ident.to_string());
            flatten(&path.tree, prefix, leaves);
            prefix.pop();
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, prefix, leaves)),
        UseTree::Name(name) if name.ident == "self" => {
            let last = prefix.last().cloned().unwrap_or_default();
            leaves.push(Leaf { path: prefix.clone(), name: last, line: name.span().start().line });
        }
        UseTree::Name(name) => {
            let ident = name.ident.to_string();
            let path = prefix.iter().cloned().chain([ident.clone()]).collect();
            leaves.push(Leaf { path, name: ident, line: name.span().start().line });
        }
        UseTree::Rename(rename) => {
            let ident = rename.ident.to_string();
            let path = prefix.iter().cloned().chain((ident != "self").then_some(ident)).collect();
            leaves.push(Leaf { path, name: rename.rename.to_string(), line: rename.span().start().line });
        }
        UseTree::Glob(glob) => {
            leaves.push(Leaf { path: prefix.clone(), name: "*".to_owned(), line: glob.span().start().line });
        }
    }
}

/// Its file is for tests, or is not where its name says.
fn is_elsewhere(attributes: &[Attribute]) -> bool {
    is_test(attributes) || attributes.iter().any(|attribute| attribute.path().is_ident("path"))
}

/// `#[cfg(test)]`.
fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("cfg")
            && attribute.parse_args::<syn::Path>().is_ok_and(|argument| argument.is_ident("test"))
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Mod(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        Item::Const(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        _ => &[],
    }
}

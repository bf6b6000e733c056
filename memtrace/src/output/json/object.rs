//! How the interface is written down: objects' fields, each with its type and where it comes from.

/// Declares types of the interface, each with `of`, which makes one. `name: Type` is the source's field of that name,
/// `name: Type = value` is anything else.
macro_rules! objects {
    ($(
        $(#[$attribute:meta])*
        $visibility:vis struct $name:ident $(<$life:lifetime>)? of $source:ident: $from:ty $(, $argument:ident: $given:ty)* {
            $($(#[$of_field:meta])* $seen:vis $field:ident: $type:ty $(= $value:expr)?,)*
        }
    )*) => {$(
        $(#[$attribute])*
        #[derive(serde::Serialize)]
        $visibility struct $name $(<$life>)? {
            $($(#[$of_field])* $seen $field: $type,)*
        }

        impl $(<$life>)? $name $(<$life>)? {
            $visibility fn of($source: $from $(, $argument: $given)*) -> Self {
                Self { $($field: objects!(@ $source.$field $(, $value)?),)* }
            }
        }
    )*};
    (@ $source:ident.$field:ident) => { $source.$field };
    (@ $source:ident.$field:ident, $value:expr) => { $value };
}

pub(in crate::output) use objects;

/// Each of a list.
pub(in crate::output) fn all<'a, T, U>(list: &'a [T], one: impl Fn(&'a T) -> U) -> Vec<U> {
    list.iter().map(one).collect()
}

//! The table of operations: each path and method with what it needs, recorded as it is routed.
//!
//! Routes are made here and nowhere else, so that none can be without a permission and the documents made of the
//! table cannot miss one.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodFilter, on};
use offtake_model::Permission;
use offtake_service::Service;

use crate::document::says::Says;
use crate::gate;

/// What a caller needs for an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing, not even to be recognised.
    Nothing,
    /// A signature of the landing zone in the address.
    Signature,
    /// One of these permissions.
    AnyOf(&'static [Permission]),
}

/// One path and method.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The method, in upper case.
    pub method: &'static str,
    /// The path, with its parameters in braces.
    pub path: String,
    /// What the caller needs.
    pub needs: Needs,
    /// What the document says of it.
    pub(crate) says: Option<Says>,
}

/// Routes under construction.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<Arc<Service>>,
    operations: Vec<Operation>,
}

macro_rules! methods {
    ($($name:ident, $filter:ident, $word:literal;)*) => {
        $(
            /// Adds an operation of that method.
            pub(crate) fn $name<H, T>(self, path: &str, needs: Needs, handler: H) -> Self
            where
                H: Handler<T, Arc<Service>>,
                T: 'static,
            {
                self.add(MethodFilter::$filter, $word, path, needs, handler)
            }
        )*
    };
}

impl Routes {
    methods! {
        get, GET, "GET";
        post, POST, "POST";
        put, PUT, "PUT";
        patch, PATCH, "PATCH";
        delete, DELETE, "DELETE";
        head, HEAD, "HEAD";
    }

    fn add<H, T>(
        mut self,
        filter: MethodFilter,
        method: &'static str,
        path: &str,
        needs: Needs,
        handler: H,
    ) -> Self
    where
        H: Handler<T, Arc<Service>>,
        T: 'static,
    {
        let route = on(filter, handler);
        let route = match needs {
            Needs::Nothing | Needs::Signature => route,
            Needs::AnyOf(permissions) => {
                route.route_layer(from_fn_with_state(permissions, gate::permit))
            }
        };
        self.operations.push(Operation {
            method,
            path: path.to_owned(),
            needs,
            says: None,
        });
        self.router = self.router.route(path, route);
        self
    }

    /// Describes the operation that was added last.
    pub(crate) fn says(mut self, says: Says) -> Self {
        if let Some(last) = self.operations.last_mut() {
            last.says = Some(says);
        }
        self
    }

    /// Adds the routes of another module.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.operations.extend(other.operations);
        self
    }

    /// The router, and the table of what it routes.
    pub(crate) fn into_parts(self) -> (Router<Arc<Service>>, Vec<Operation>) {
        (self.router, self.operations)
    }
}

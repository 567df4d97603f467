//! A client that takes commands and gives events, for a program that has its own loop.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::Future;
use core::ops::ControlFlow;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use nickeldime_core::generator::{Join, Latent, Noise, Sample};

use crate::error::LinkError;
use crate::info::BoardInfo;
use crate::machine::{HELLO, Image, Machine, Sent};

/// The news of a session, in order. The last event of every command is `Hello`, `Uploaded`, `Image`, `Erased` or `Failed`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The board said what it is.
    Hello(BoardInfo),
    /// A part of the pack is on the board.
    Progress {
        /// Bytes that are on the board.
        done: u64,
        /// Bytes of the pack.
        total: u64,
    },
    /// A pack is the board's model.
    Uploaded(Sent),
    /// A row of the image is whole.
    Row {
        /// The row, from the top.
        y: usize,
        /// Its pixels, as many bytes each as the model's channels.
        pixels: Vec<u8>,
    },
    /// An image is whole, and its hash is the board's.
    Image(Image),
    /// The board's storage is empty.
    Erased,
    /// The command failed.
    Failed(LinkError),
}

/// A latent that a command takes along.
#[derive(Clone, Debug, PartialEq)]
pub enum LatentNumbers {
    /// The board's own generator, from this seed.
    Seed(u64),
    /// z, Q12.
    Z(Vec<i16>),
    /// w, Q16.
    W(Vec<i32>),
    /// A w for every layer, Q16.
    Layers(Vec<i32>),
    /// Two seeds, joined.
    Pair([u64; 2], Join),
}

impl LatentNumbers {
    fn borrowed(&self) -> Latent<'_> {
        match self {
            Self::Seed(seed) => Latent::Seed(*seed),
            Self::Z(z) => Latent::Z(z),
            Self::W(w) => Latent::W(w),
            Self::Layers(w) => Latent::Layers(w),
            Self::Pair(seeds, join) => Latent::Pair { seeds: *seeds, join: *join },
        }
    }
}

type Task = Pin<Box<dyn Future<Output = ()>>>;

/// The parts that a session and its task share.
struct Shared {
    machine: Machine,
    events: RefCell<VecDeque<Event>>,
    stop: Cell<bool>,
}

impl Shared {
    fn tell(&self, event: Event) {
        self.events.borrow_mut().push_back(event);
    }

    fn end(&self, result: Result<Event, LinkError>) {
        self.tell(result.unwrap_or_else(Event::Failed));
    }
}

/// Bytes and the time in, bytes and events out, one deadline. A command replaces the one before it.
pub struct Session {
    shared: Rc<Shared>,
    task: Option<Task>,
}

impl Session {
    /// A session whose requests are numbered from `first_id` on, which should differ from one session to the next.
    pub fn new(first_id: u32) -> Self {
        let shared = Shared { machine: Machine::new(first_id), events: RefCell::default(), stop: Cell::new(false) };
        Self { shared: Rc::new(shared), task: None }
    }

    /// Greets the board: the first command of every session.
    pub fn hello(&mut self) {
        self.begin(|shared| async move {
            let said = shared.machine.hello(HELLO).await;
            let board = shared.machine.board().clone();
            shared.end(said.map(|()| Event::Hello(board)));
        });
    }

    /// Sends a pack and makes it the board's model.
    pub fn upload(&mut self, pack: Vec<u8>) {
        self.begin(|shared| async move {
            let told = Rc::clone(&shared);
            let mut progress = move |done, total| told.tell(Event::Progress { done, total });
            let sent = shared.machine.upload(&pack, &mut progress).await;
            shared.end(sent.map(Event::Uploaded));
        });
    }

    /// Has the board make an image. `psi` is Q14: 16384 is 1.0.
    pub fn sample(&mut self, latent: LatentNumbers, psi: i16, noise: Noise) {
        self.begin(move |shared| async move {
            let told = Rc::clone(&shared);
            let mut row = move |y, pixels: &[u8]| {
                told.tell(Event::Row { y, pixels: pixels.to_vec() });
                if told.stop.get() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let sample = Sample { latent: latent.borrowed(), psi, noise };
            let image = shared.machine.sample(&sample, &mut row).await;
            shared.end(image.map(Event::Image));
        });
    }

    /// Empties the board's storage.
    pub fn erase(&mut self) {
        self.begin(|shared| async move {
            let erased = shared.machine.erase().await;
            shared.end(erased.map(|()| Event::Erased));
        });
    }

    /// Stops the image in the making at its next row; it ends with [`LinkError::Stopped`].
    pub fn stop(&mut self) {
        self.shared.stop.set(true);
    }

    fn begin<F: Future<Output = ()> + 'static>(&mut self, task: impl FnOnce(Rc<Shared>) -> F) {
        self.shared.stop.set(false);
        self.task = Some(Box::pin(task(Rc::clone(&self.shared))));
        self.go_on();
    }

    /// These bytes came from the board, at `now`.
    pub fn receive(&mut self, now: Duration, bytes: &[u8]) {
        self.shared.machine.receive(bytes);
        self.advance(now);
    }

    /// It is `now`, a time since any moment that stays the same.
    pub fn advance(&mut self, now: Duration) {
        self.shared.machine.advance(now);
        self.go_on();
    }

    fn go_on(&mut self) {
        let Some(task) = &mut self.task else { return };
        if task.as_mut().poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(()) {
            self.task = None;
        }
    }

    /// The next bytes for the board, a frame or less.
    pub fn outgoing(&mut self) -> Option<Vec<u8>> {
        self.shared.machine.outgoing()
    }

    /// Returns the time at which [`advance`](Self::advance) has to be called if nothing is received until then, or `None` without
    /// a command.
    pub fn deadline(&self) -> Option<Duration> {
        self.task.as_ref().and_then(|_| self.shared.machine.deadline())
    }

    /// Takes the oldest event that was not taken yet.
    pub fn event(&mut self) -> Option<Event> {
        self.shared.events.borrow_mut().pop_front()
    }

    /// Returns true while a command is at work.
    pub fn is_busy(&self) -> bool {
        self.task.is_some()
    }

    /// Returns the latest facts that the board has told about itself.
    pub fn board(&self) -> BoardInfo {
        self.shared.machine.board().clone()
    }
}

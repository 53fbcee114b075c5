//! Every kind of bet through the phases of the game, with dice that are told.

#[path = "common/script.rs"]
mod script;

use craps::rules::{ComeOut, Rules, Vig};
use script::play;

fn check(cases: &[(&str, &str)]) {
    check_with(&Rules::default(), cases);
}

fn check_with(rules: &Rules, cases: &[(&str, &str)]) {
    for (commands, expected) in cases {
        assert_eq!(play(rules.clone(), commands), *expected, "\n  {commands}");
    }
}

#[test]
fn pass_line() {
    check(&[
        ("bet pass 10; roll 3 4; money", "natural, pass won 10>20; 1010+0"),
        ("bet pass 10; roll 5 6", "natural, pass won 10>20"),
        ("bet pass 10; roll 1 1", "craps, pass lost 10>0"),
        ("bet pass 10; roll 1 2", "craps, pass lost 10>0"),
        ("bet pass 10; roll 6 6; money", "craps, pass lost 10>0; 990+0"),
        (
            "bet pass 10; roll 2 2; point; roll 5 6; roll 1 3",
            "point_on; point 4; number; point_made, pass won 10>20",
        ),
        (
            "bet pass 10; roll 4 5; roll 6 6; roll 3 4; point",
            "point_on; number; seven_out, pass lost 10>0; point off",
        ),
        ("bet pass 10; bet pass 5; roll 3 4", "natural, pass won 15>30"),
        ("roll 2 2; bet pass 10", "point_on; no: pass is for the come-out roll; the point is on"),
        ("bet pass 10; take pass all; money", "back 10; 1000+0"),
        ("bet pass 10; take pass 4; money; roll 3 4", "back 4; 994+6; natural, pass won 6>12"),
        (
            "bet pass 10; roll 2 2; take pass all",
            "point_on; no: pass is a contract bet: it stays until it is decided",
        ),
        ("bet pass 1001", "no: the bankroll is 1000, and the bet costs 1001"),
        ("bet pass 0", "no: the amount 0 is not a positive multiple of 1"),
        ("bet pass -5", "no: the amount -5 is not a positive multiple of 1"),
    ]);
}

#[test]
fn dont_pass_bars_twelve() {
    check(&[
        ("bet dont_pass 10; roll 1 1", "craps, dont_pass won 10>20"),
        ("bet dont_pass 10; roll 2 1", "craps, dont_pass won 10>20"),
        ("bet dont_pass 10; roll 6 6; money", "craps, dont_pass pushed 10>10; 1000+0"),
        ("bet dont_pass 10; roll 3 4", "natural, dont_pass lost 10>0"),
        ("bet dont_pass 10; roll 6 5", "natural, dont_pass lost 10>0"),
        ("bet dont_pass 10; roll 5 5; roll 6 1", "point_on; seven_out, dont_pass won 10>20"),
        (
            "bet dont_pass 10; roll 5 5; roll 6 6; roll 4 6",
            "point_on; number; point_made, dont_pass lost 10>0",
        ),
        ("bet dont_pass 10; roll 5 5; take dont_pass all; money", "point_on; back 10; 1000+0"),
        ("roll 5 5; bet dont_pass 10", "point_on; no: don't pass is for the come-out roll; the point is on"),
    ]);
}

#[test]
fn come_bets_travel() {
    check(&[
        ("bet come 10", "no: come needs a point; wait for the come-out roll"),
        ("roll 2 2; bet come 10; roll 3 4", "point_on; seven_out, come won 10>20"),
        ("roll 2 2; bet come 10; roll 5 6", "point_on; number, come won 10>20"),
        ("roll 2 2; bet come 10; roll 1 1", "point_on; number, come lost 10>0"),
        ("roll 2 2; bet come 10; roll 6 6", "point_on; number, come lost 10>0"),
        ("roll 2 2; bet come 10; roll 3 3; roll 2 4", "point_on; number; number, come 6 won 10>20"),
        ("roll 2 2; bet come 10; roll 3 3; roll 3 4", "point_on; number; seven_out, come 6 lost 10>0"),
        // A come bet on the point itself: the table's point is made, the come bet goes on to it.
        (
            "roll 2 2; bet come 10; roll 1 3; point; roll 2 2",
            "point_on; point_made; point off; point_on, come 4 won 10>20",
        ),
        // The one on the number wins first, then the next one moves there.
        (
            "roll 2 2; bet come 10; roll 3 3; bet come 20; roll 3 3; roll 3 3",
            "point_on; number; number, come 6 won 10>20; number, come 6 won 20>40",
        ),
        ("roll 2 2; bet come 10; take come all; money", "point_on; back 10; 1000+0"),
        (
            "roll 2 2; bet come 10; roll 3 3; take come 6 all",
            "point_on; number; no: come 6 is a contract bet: it stays until it is decided",
        ),
        ("bet come 6 10", "no: a come bet moves to its number by itself; bet on \"come\" without a number"),
        // A come bet that travelled works on the come-out roll.
        (
            "roll 2 2; bet come 10; roll 3 3; roll 2 2; roll 3 4",
            "point_on; number; point_made; natural, come 6 lost 10>0",
        ),
    ]);
}

#[test]
fn dont_come_bets_travel() {
    check(&[
        ("roll 2 2; bet dont_come 10; roll 3 4", "point_on; seven_out, dont_come lost 10>0"),
        ("roll 2 2; bet dont_come 10; roll 5 6", "point_on; number, dont_come lost 10>0"),
        ("roll 2 2; bet dont_come 10; roll 1 2", "point_on; number, dont_come won 10>20"),
        ("roll 2 2; bet dont_come 10; roll 6 6", "point_on; number, dont_come pushed 10>10"),
        (
            "roll 2 2; bet dont_come 10; roll 4 5; roll 3 4",
            "point_on; number; seven_out, dont_come 9 won 10>20",
        ),
        ("roll 2 2; bet dont_come 10; roll 4 5; roll 3 6", "point_on; number; number, dont_come 9 lost 10>0"),
        (
            "roll 2 2; bet dont_come 10; roll 4 5; take dont_come 9 all; money",
            "point_on; number; back 10; 1000+0",
        ),
    ]);
}

#[test]
fn odds_pay_true_and_keep_their_limit() {
    check(&[
        ("bet pass 10; bet pass_odds 10", "no: pass odds needs a bet to stand behind"),
        ("roll 2 2; bet pass_odds 10", "point_on; no: pass odds needs a bet to stand behind"),
        (
            "bet pass 10; roll 2 2; bet pass_odds 30; roll 1 3",
            "point_on; point_made, pass won 10>20, pass_odds won 30>90",
        ),
        (
            "bet pass 10; roll 2 2; bet pass_odds 31",
            "point_on; no: 31 on pass odds is over the maximum of 30",
        ),
        (
            "bet pass 10; roll 4 5; bet pass_odds 40; roll 3 6",
            "point_on; point_made, pass won 10>20, pass_odds won 40>100",
        ),
        (
            "bet pass 10; roll 4 5; bet pass_odds 41",
            "point_on; no: 41 on pass odds is over the maximum of 40",
        ),
        (
            "bet pass 10; roll 3 5; bet pass_odds 50; roll 2 6",
            "point_on; point_made, pass won 10>20, pass_odds won 50>110",
        ),
        (
            "bet pass 10; roll 3 5; bet pass_odds 50; roll 1 6",
            "point_on; seven_out, pass lost 10>0, pass_odds lost 50>0",
        ),
        (
            "bet pass 10; roll 3 5; bet pass_odds 20; take pass_odds 5; take pass_odds all; money",
            "point_on; back 5; back 15; 990+10",
        ),
        // 3 at 6:5 is 3.6, rounded down.
        (
            "bet pass 10; roll 3 5; bet pass_odds 3; roll 2 6",
            "point_on; point_made, pass won 10>20, pass_odds won 3>6",
        ),
        // Laid odds may win the multiple: 60 on every number.
        (
            "bet dont_pass 10; roll 2 2; bet dont_pass_odds 60; roll 3 4",
            "point_on; seven_out, dont_pass won 10>20, dont_pass_odds won 60>90",
        ),
        (
            "bet dont_pass 10; roll 4 5; bet dont_pass_odds 60; roll 3 4",
            "point_on; seven_out, dont_pass won 10>20, dont_pass_odds won 60>100",
        ),
        (
            "bet dont_pass 10; roll 3 5; bet dont_pass_odds 60; roll 3 4",
            "point_on; seven_out, dont_pass won 10>20, dont_pass_odds won 60>110",
        ),
        (
            "bet dont_pass 10; roll 3 5; bet dont_pass_odds 60; roll 4 4",
            "point_on; point_made, dont_pass lost 10>0, dont_pass_odds lost 60>0",
        ),
        (
            "bet dont_pass 10; roll 3 5; bet dont_pass_odds 61",
            "point_on; no: 61 on don't pass odds is over the maximum of 60",
        ),
        (
            "bet dont_pass 10; roll 2 2; bet dont_pass_odds 1",
            "point_on; no: 1 on don't pass odds would win nothing; bet more",
        ),
        // The bet comes down, and its odds with it; a part comes down only while the odds stay legal.
        (
            "bet dont_pass 10; roll 2 2; bet dont_pass_odds 60; take dont_pass all; money",
            "point_on; back 70; 1000+0",
        ),
        (
            "bet dont_pass 10; roll 2 2; bet dont_pass_odds 60; take dont_pass 1",
            "point_on; no: taking 1 off don't pass would leave 9; take it down whole, or leave a legal bet",
        ),
    ]);
}

#[test]
fn odds_on_come_bets_rest_on_the_come_out() {
    check(&[
        (
            "roll 2 2; bet come 10; roll 3 3; bet come_odds 6 50; roll 2 4",
            "point_on; number; number, come 6 won 10>20, come_odds 6 won 50>110",
        ),
        (
            "roll 2 2; bet come 10; bet come_odds 6 50",
            "point_on; no: come odds 6 needs a bet to stand behind",
        ),
        // On the come-out they go back, won or lost …
        (
            "roll 2 2; bet come 10; roll 3 3; bet come_odds 6 50; roll 2 2; roll 3 4; money",
            "point_on; number; point_made; natural, come 6 lost 10>0, come_odds 6 pushed 50>50; 990+0",
        ),
        (
            "roll 2 2; bet come 10; roll 3 3; bet come_odds 6 50; roll 2 2; roll 3 3",
            "point_on; number; point_made; point_on, come 6 won 10>20, come_odds 6 pushed 50>50",
        ),
        // … unless turned on.
        (
            "roll 2 2; bet come 10; roll 3 3; bet come_odds 6 50; on come_odds 6; roll 2 2; roll 3 3",
            "point_on; number; point_made; point_on, come 6 won 10>20, come_odds 6 won 50>110",
        ),
        // Laid odds always work.
        (
            "roll 2 2; bet dont_come 10; roll 4 5; bet dont_come_odds 9 30; roll 2 2; roll 3 4",
            "point_on; number; point_made; natural, dont_come 9 won 10>20, dont_come_odds 9 won 30>50",
        ),
    ]);
}

#[test]
fn place_bets() {
    check(&[
        ("roll 3 3; bet place 4 5; roll 2 2", "point_on; number, place 4 won 5>14"),
        ("roll 3 3; bet place 10 5; roll 5 5", "point_on; number, place 10 won 5>14"),
        ("roll 3 3; bet place 5 5; roll 2 3", "point_on; number, place 5 won 5>12"),
        ("roll 3 3; bet place 9 5; roll 3 6", "point_on; number, place 9 won 5>12"),
        ("roll 2 2; bet place 6 6; roll 3 3", "point_on; number, place 6 won 6>13"),
        ("roll 2 2; bet place 8 6; roll 4 4", "point_on; number, place 8 won 6>13"),
        ("roll 2 2; bet place 8 6; roll 3 4; money", "point_on; seven_out, place 8 lost 6>0; 994+0"),
        // 5 at 7:6 is 5.83, rounded down.
        ("roll 2 2; bet place 8 5; roll 4 4", "point_on; number, place 8 won 5>10"),
        // Off on the come-out roll, both ways, unless turned on; off when told.
        ("bet place 6 6; roll 3 4; roll 3 3; money", "natural; point_on; 994+6"),
        ("bet place 6 6; on place 6; roll 3 3", "point_on, place 6 won 6>13"),
        ("bet place 6 6; on place 6; roll 3 4", "natural, place 6 lost 6>0"),
        (
            "roll 2 2; bet place 6 6; off place 6; roll 3 3; roll 3 4; money",
            "point_on; number; seven_out; 994+6",
        ),
        (
            "roll 2 2; bet place 6 6; off place 6; auto place 6; roll 3 3",
            "point_on; number, place 6 won 6>13",
        ),
        ("bet place 6 12; take place 6 6; take place 6 all; money", "back 6; back 6; 1000+0"),
        ("take place 6 all", "no: there is no bet on place 6"),
        ("off place 6", "no: there is no bet on place 6"),
        ("bet field 5; off field", "no: field cannot be turned on or off"),
    ]);
}

#[test]
fn buy_and_lay_pay_true_odds_less_a_commission() {
    check(&[
        (
            "roll 3 3; bet buy 4 20; money; roll 2 2; money",
            "point_on; 979+21; number, buy 4 won 21>60; 1039+0",
        ),
        ("roll 3 3; bet buy 5 20; roll 2 3", "point_on; number, buy 5 won 21>50"),
        ("roll 2 2; bet buy 6 20; roll 3 3", "point_on; number, buy 6 won 21>44"),
        ("roll 2 2; bet buy 6 20; roll 3 4", "point_on; seven_out, buy 6 lost 21>0"),
        // 5 % of 25 is 1.25: one unit; of 5: at least one.
        ("bet buy 10 25; money", "974+26"),
        ("bet buy 10 5; money", "994+6"),
        (
            "bet buy 10 20; bet buy 10 20; money; take buy 10 20; money; take buy 10 all; money",
            "958+42; back 21; 979+21; back 21; 1000+0",
        ),
        ("bet buy 4 20; roll 2 2", "point_on"),
        (
            "roll 3 3; bet lay 4 40; money; roll 3 4; money",
            "point_on; 959+41; seven_out, lay 4 won 41>60; 1019+0",
        ),
        ("roll 3 3; bet lay 5 30; roll 3 4", "point_on; seven_out, lay 5 won 31>50"),
        ("roll 2 2; bet lay 6 24; roll 3 4", "point_on; seven_out, lay 6 won 25>44"),
        ("roll 2 2; bet lay 6 24; roll 3 3", "point_on; number, lay 6 lost 25>0"),
        // Lay bets work on the come-out roll.
        ("bet lay 6 24; roll 3 4", "natural, lay 6 won 25>44"),
        ("bet lay 4 1", "no: 1 on lay 4 would win nothing; bet more"),
    ]);
    check_with(
        &Rules { vig: Vig::OnWin, ..Rules::default() },
        &[
            ("roll 3 3; bet buy 4 20; money; roll 2 2", "point_on; 980+20; number, buy 4 won 20>59"),
            ("roll 3 3; bet buy 4 20; roll 3 4", "point_on; seven_out, buy 4 lost 20>0"),
            ("roll 3 3; bet lay 4 40; roll 3 4", "point_on; seven_out, lay 4 won 40>59"),
        ],
    );
}

#[test]
fn field_hardways_and_one_roll_bets() {
    check(&[
        ("bet field 5; roll 1 1", "craps, field won 5>15"),
        ("bet field 5; roll 6 6", "craps, field won 5>20"),
        ("bet field 5; roll 1 2", "craps, field won 5>10"),
        ("bet field 5; roll 1 3", "point_on, field won 5>10"),
        ("bet field 5; roll 4 5", "point_on, field won 5>10"),
        ("bet field 5; roll 4 6", "point_on, field won 5>10"),
        ("bet field 5; roll 5 6", "natural, field won 5>10"),
        ("bet field 5; roll 2 3", "point_on, field lost 5>0"),
        ("bet field 5; roll 3 4", "natural, field lost 5>0"),
        ("roll 3 6; bet hard 4 5; roll 2 2", "point_on; number, hard 4 won 5>40"),
        ("roll 3 6; bet hard 4 5; roll 1 3", "point_on; number, hard 4 lost 5>0"),
        ("roll 3 6; bet hard 10 5; roll 5 5", "point_on; number, hard 10 won 5>40"),
        ("roll 3 6; bet hard 6 5; roll 3 3", "point_on; number, hard 6 won 5>50"),
        ("roll 3 6; bet hard 8 5; roll 4 4", "point_on; number, hard 8 won 5>50"),
        ("roll 3 6; bet hard 8 5; roll 2 6", "point_on; number, hard 8 lost 5>0"),
        ("roll 3 6; bet hard 8 5; roll 3 4", "point_on; seven_out, hard 8 lost 5>0"),
        ("bet hard 8 5; roll 3 4; roll 2 6; money", "natural; point_on; 995+5"),
        ("bet any_seven 5; roll 3 4", "natural, any_seven won 5>25"),
        ("bet any_seven 5; roll 3 5", "point_on, any_seven lost 5>0"),
        ("bet any_craps 5; roll 6 6", "craps, any_craps won 5>40"),
        ("bet any_craps 5; roll 1 2", "craps, any_craps won 5>40"),
        ("bet any_craps 5; roll 6 5", "natural, any_craps lost 5>0"),
        ("bet number 2 5; roll 1 1", "craps, number 2 won 5>155"),
        ("bet number 12 5; roll 6 6", "craps, number 12 won 5>155"),
        ("bet number 3 5; roll 1 2", "craps, number 3 won 5>80"),
        ("bet number 11 5; roll 6 5", "natural, number 11 won 5>80"),
        ("bet number 11 5; roll 6 6", "craps, number 11 lost 5>0"),
        ("bet horn 4; roll 6 6", "craps, horn won 4>31"),
        ("bet horn 4; roll 6 5", "natural, horn won 4>16"),
        ("bet horn 4; roll 3 4", "natural, horn lost 4>0"),
        ("bet horn 6", "no: the amount 6 is not a positive multiple of 4"),
    ]);
    check_with(
        &Rules { field_twelve: 2, ..Rules::default() },
        &[("bet field 5; roll 6 6", "craps, field won 5>15")],
    );
    check_with(
        &Rules { come_out: ComeOut::On, ..Rules::default() },
        &[
            ("bet hard 8 5; roll 3 4", "natural, hard 8 lost 5>0"),
            ("bet place 8 6; roll 4 4", "point_on, place 8 won 6>13"),
        ],
    );
}

#[test]
fn limits_and_units() {
    let rules = Rules { unit: 5, min_bet: 10, max_bet: 100, ..Rules::default() };
    check_with(
        &rules,
        &[
            ("bet pass 12", "no: the amount 12 is not a positive multiple of 5"),
            ("bet pass 5", "no: 5 on pass is under the table's minimum of 10"),
            ("bet pass 105", "no: 105 on pass is over the maximum of 100"),
            ("bet pass 60; bet pass 45", "no: 105 on pass is over the maximum of 100"),
            (
                "bet place 6 10; take place 6 5",
                "no: taking 5 off place 6 would leave 5; take it down whole, or leave a legal bet",
            ),
            // 10 at 7:6 is 11.67: down to a whole 5. Odds may be smaller than the minimum.
            ("roll 2 2; bet place 6 10; roll 3 3", "point_on; number, place 6 won 10>20"),
            (
                "bet pass 10; roll 2 2; bet pass_odds 5; roll 2 2",
                "point_on; point_made, pass won 10>20, pass_odds won 5>15",
            ),
            ("bet horn 10", "no: the amount 10 is not a positive multiple of 20"),
        ],
    );
}

#[test]
fn standing_bets_are_made_again() {
    check(&[
        (
            "stand pass 10; roll 3 4; roll 1 1; money",
            "natural, pass won 10>20; craps, pass lost 10>0; 1000+0",
        ),
        // Each when it is its time: pass on the come-out, come and odds when there is a point.
        (
            "stand pass 10; stand pass_odds 20; stand come 10; roll 2 2; roll 3 3; money",
            "point_on; number; 960+40",
        ),
        ("stand pass 600; stand field 600; roll 2 2; money", "point_on; 400+600"),
        ("stand come 6 10", "no: a come bet moves to its number by itself; bet on \"come\" without a number"),
    ]);
}

#[test]
fn seats_and_the_dice_go_round() {
    check(&[
        (
            "join 2 500; join 3 500; shooter; roll 2 2; roll 3 4; shooter; roll 3 4; shooter",
            "shooter 1; point_on; seven_out; shooter 2; natural; shooter 2",
        ),
        (
            "join 2 500; roll 2 2; roll 3 4; shooter; roll 2 2; roll 3 4; shooter",
            "point_on; seven_out; shooter 2; point_on; seven_out; shooter 1",
        ),
        ("join 1 5", "no: player 1 already has a seat"),
        ("join 2 -1", "no: a bankroll of -1 is not between 0 and 1000000000000000"),
        ("as 9; bet pass 5", "no: player 9 has no seat; join first"),
        // The leaver's dice go to the next, the point stays; contract bets stay behind, the others are paid out.
        (
            "bet pass 10; join 2 500; roll 2 2; bet place 6 12; leave; shooter; point",
            "point_on; paid 990, returned 12, forfeited 10; shooter 2; point 4",
        ),
        ("leave; shooter; roll 3 4", "paid 1000, returned 0, forfeited 0; shooter 0; natural"),
        (
            "join 2 500; bet pass 10; as 2; bet dont_pass 10; roll 2 2; roll 3 4",
            "point_on; seven_out, 1's pass lost 10>0, 2's dont_pass won 10>20",
        ),
    ]);
}
